"""The command `darling-reward`: a module for each of its commands, and `main`, which runs them."""
