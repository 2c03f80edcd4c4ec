"""Releases: what becomes of a coil, signed. Rows are only added, as those of the log."""

import sqlalchemy as sa
from alembic import op

from inspection.review.schema import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_REFUSE = "BEGIN SELECT RAISE(ABORT, 'releases are append-only'); END"


def upgrade() -> None:
    """Make the table, and have it refuse changes."""
    op.create_table(
        "releases",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("batch_id", sa.Integer, sa.ForeignKey("batches.id"), nullable=False),
        sa.Column("coil", sa.Text, nullable=False),
        sa.Column("disposition", sa.String(16), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
        sa.Column("open", sa.Integer, nullable=False),
        sa.Column("decided", sa.Integer, nullable=False),
        sa.Column("authenticated", sa.Text, nullable=False),
        sa.Column("how", sa.String(16), nullable=False),
        sa.Column("signed", UtcDateTime, nullable=False),
        sa.CheckConstraint("name <> ''", name="release_is_signed"),
    )
    op.create_index("releases_of_batch", "releases", ["batch_id"])
    if op.get_bind().dialect.name == "sqlite":
        for event in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER releases_no_{event.lower()} BEFORE {event} ON releases {_REFUSE}"
            )
        known = "WHEN EXISTS (SELECT 1 FROM releases WHERE id = NEW.id)"
        op.execute(
            f"CREATE TRIGGER releases_no_replace BEFORE INSERT ON releases {known} {_REFUSE}"
        )
    else:
        op.execute(
            "CREATE TRIGGER releases_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON releases "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
