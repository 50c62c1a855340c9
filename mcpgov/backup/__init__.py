"""A gateway in one archive, and back from it."""
