"""An LLM behind an OpenAI-compatible server as the classifier."""
