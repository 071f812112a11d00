"""The router: which instance gets which task, and why."""
