"""How encoders compute, as the setting `runtime` chooses: packed or tiled, in which format."""
