"""Programs around the product: the only place that may import rag and finetune together."""
