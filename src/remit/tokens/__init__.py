"""Strict token reading, shared by everything that verifies: parse, keys, signature, claims."""
