"""The admin plane: REST for operators, on a listener of its own, one noun a file. Nothing here decides about calls."""
