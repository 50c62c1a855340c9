"""The aggregate: chosen connections as one server at /mcp. Each member is reached through govern(), never past it."""
