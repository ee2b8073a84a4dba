"""How encoders compute, as the setting `runtime` chooses: packed or in tiles, in which number format."""
