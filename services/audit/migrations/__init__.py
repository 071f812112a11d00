"""The steps by which a database of the read model comes to its present shape; run by Alembic."""
