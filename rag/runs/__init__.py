"""Long programs that the server starts for people: a folder each, one at a time, to be cancelled and gone on with."""
