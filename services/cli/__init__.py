"""The command line: what a person types, one module for each group of commands."""
