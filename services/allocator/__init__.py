"""The allocator: which node has room for which instance."""
