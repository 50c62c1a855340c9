"""The private catalog: what is served, from which server, and how mcpgov signs in to it."""
