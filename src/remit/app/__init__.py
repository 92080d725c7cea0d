"""Settings → running parts. The one unit that knows every class."""
