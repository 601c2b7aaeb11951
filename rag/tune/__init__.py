"""Settings of a collection's own, chosen on its user's questions and kept only where held-out ones show a gain."""
