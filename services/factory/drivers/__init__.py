"""Drivers: what keeps workers apart from the host and from one another."""
