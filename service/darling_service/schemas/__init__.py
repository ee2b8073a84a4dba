"""What requests and responses may say."""
