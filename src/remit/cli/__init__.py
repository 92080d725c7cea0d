"""The command line: one module a command, heavy imports only where a command runs."""
