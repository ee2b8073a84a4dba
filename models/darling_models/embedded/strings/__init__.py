"""What the string of a text says that a tokenizer or an encoder loses. Start at `facts`."""
