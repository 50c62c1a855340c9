"""The MCP Registry API: the read side of the catalog."""
