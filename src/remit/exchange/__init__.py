"""Getting the token for one call: ask a token service, and check that the answer is what was asked for."""
