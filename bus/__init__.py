"""The message bus: typed records on partitioned append-only logs, and the roles that decide over them."""
