"""Stage 4 of 6 · with whose credential."""
