"""Files of groups through Ray Data: `score` and `evaluate` with `--engine ray`."""
