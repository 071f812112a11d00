"""Agents: how a worker thinks. Each is one adapter behind the port; they import the standard library only."""
