"""Workflows of other systems, read into our own form as far as they go."""
