"""2 · May they: one document about the call, one decision with its reasons and what it demands."""
