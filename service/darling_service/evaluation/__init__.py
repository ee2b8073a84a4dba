"""`darling-reward evaluate`: quality and variety of files of rollouts, and two runs compared."""
