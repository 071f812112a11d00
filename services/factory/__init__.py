"""The factory: instances, the professions that they have, and the nodes that run their workers."""
