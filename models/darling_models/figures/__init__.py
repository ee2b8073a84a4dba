"""Figures of a measurement: metrics, intervals and plots, for training and evaluation alike."""
