"""The embedded authorization server: people sign in, and say what a client may do for them (OAuth 2.1, RFC 8414)."""
