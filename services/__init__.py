"""The services that run a fleet of agents over the bus, and the edges that people meet them at."""
