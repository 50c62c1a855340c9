"""The product in under a minute: a real MCP server, a real MCP client, and mcpgov between them."""
