"""What runs as worker processes and their launcher; it imports the standard library and the agents only."""
