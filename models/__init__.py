"""Models: what they are, where they live, how they run."""
