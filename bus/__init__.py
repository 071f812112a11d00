"""The message bus: typed records on partitioned append-only logs, and Deciders that own them. Knows nothing of
agents."""
