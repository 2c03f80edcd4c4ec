"""Alembic's entry: runs the migrations on the connection that `database` hands over."""

from alembic import context

from inspection.review.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
