"""The two logs: SQLite embedded in one process, Kafka for many; only these modules import a client library."""
