"""The benchmark: remit's full path beside the bare MCP SDK, in one run on loopback (`make bench`)."""
