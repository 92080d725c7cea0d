"""Approvals: somebody says yes to one call of one agent for one user, once, and not for long."""
