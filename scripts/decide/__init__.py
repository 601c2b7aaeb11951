"""The advisor: does a task need retrieval, fine-tuning, or both? Decided by measuring it."""
