"""Training: `head` and `encoder` for the embedded default, `cross_encoder` for any checkpoint."""
