"""5 · Say what happened: an intent before anything leaves, an outcome after, chained by hashes."""
