"""Stage 2 of 6 · who calls."""
