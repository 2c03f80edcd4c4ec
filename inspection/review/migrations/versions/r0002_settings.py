"""Batches know with which thresholds and tiling they were inspected, so that trends compare like
with like. "" for batches that were registered before; registering again fills it in."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    column = sa.Column("settings", sa.String(64), nullable=False, server_default="")
    op.add_column("batches", column)
