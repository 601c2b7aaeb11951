"""Everything for a machine without a network, carried over as one signed bundle."""
