"""Equal final answers by math-verify, computed in worker processes that can be ended."""
