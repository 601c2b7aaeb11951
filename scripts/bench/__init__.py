"""Benchmarks: each measures through the product's own code and prints one JSON object."""
