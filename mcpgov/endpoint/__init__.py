"""Stage 1 of 6 · wire in, wire out."""
