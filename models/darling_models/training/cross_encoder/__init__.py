"""Fine-tuning any pretrained checkpoint on labelled pairs. Start at `command`."""
