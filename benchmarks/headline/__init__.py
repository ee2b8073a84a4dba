"""The headline experiment: what DARLING does to a policy that quality-only training collapses."""
