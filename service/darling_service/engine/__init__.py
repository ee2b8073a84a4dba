"""Model serving: the models of this process, the fair queue, batches and caches."""
