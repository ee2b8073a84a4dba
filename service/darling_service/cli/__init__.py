"""The command `darling-reward`, a file for each of its commands."""
