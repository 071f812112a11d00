"""Reads the log and explains it: the progress of a run, its causal tree, its artifacts, gaps in what counts."""
