"""The headline experiment: DARLING on a policy that training on quality alone collapses."""
