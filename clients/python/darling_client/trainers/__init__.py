"""Adapters: one module for each trainer, which imports it only where it has to."""
