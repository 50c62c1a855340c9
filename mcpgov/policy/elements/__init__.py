"""One file for each policy element: its attributes, how it is loaded, what it does. registry.py lists them."""
