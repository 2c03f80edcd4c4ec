"""Batches know the side of their patches, in px: 256 for those that were registered before."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    column = sa.Column("patch_size", sa.Integer, nullable=False, server_default="256")
    op.add_column("batches", column)
