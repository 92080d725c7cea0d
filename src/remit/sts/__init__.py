"""The embedded security token service: the server side of RFC 8693, for the clients its operator registered."""
