"""Health: who is alive, late or lost, and which alarms stand."""
