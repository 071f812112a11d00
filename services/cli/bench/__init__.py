"""Measurements of the running system: `clawx bench NAME`."""
