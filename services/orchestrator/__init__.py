"""The orchestrator: runs of workflows, their reviews and their artifacts."""
