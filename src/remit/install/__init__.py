"""MCP clients on this machine: where their files are, and what stands there for this server."""
