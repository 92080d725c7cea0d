"""The MCP doors: Streamable HTTP (`http.HttpDoor`) and stdio (`stdio.StdioDoor`), both protocol eras.

The types of the MCP SDK stop in this folder.
"""
