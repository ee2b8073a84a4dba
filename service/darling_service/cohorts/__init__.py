"""Groups whose rollouts come in requests of their own."""
