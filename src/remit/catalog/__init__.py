"""What can be called: tool files, compiled once at load."""
