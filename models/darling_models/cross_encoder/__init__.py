"""Any Hugging Face sequence-classification checkpoint that reads both texts of a pair together."""
