"""The files that people write — workflows and professions — as a pure library for all services."""
