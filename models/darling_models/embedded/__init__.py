"""The default classifier: encodes each text once, then compares texts with a trained head."""
