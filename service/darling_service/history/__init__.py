"""What is known of training runs: figures of every group, and the history store that keeps them."""
