"""The review database's schema, version by version (Alembic)."""
