"""Runs the migrations on the connection that the caller holds, in the caller's transaction."""

from alembic import context

from services.audit.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
