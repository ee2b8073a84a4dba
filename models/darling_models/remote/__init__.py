"""A pool of servers that answer /classify in vLLM's wire format."""
