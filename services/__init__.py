"""Services that talk only through records on the bus."""
