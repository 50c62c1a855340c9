"""The words of others that records are exported in, one file each. Every one is pure."""
