"""Model serving: the models of this process, their queue, batches and caches."""
