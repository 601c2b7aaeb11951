"""Examples in, an adapter out: LoRA fine-tuning that proves what it did before anybody is served with it."""
