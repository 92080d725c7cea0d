"""The person at this machine signs in, once, for every process that speaks for them."""
