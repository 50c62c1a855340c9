"""What is wrong with a gateway, or soon will be, and how to mend it."""
