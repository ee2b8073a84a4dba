"""Adapters: one module for each trainer. None imports a trainer before it has to."""
