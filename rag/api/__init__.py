"""The HTTP interface, one router per concern."""
