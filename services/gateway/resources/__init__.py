"""The resources under /api/v1, a module for each noun."""
