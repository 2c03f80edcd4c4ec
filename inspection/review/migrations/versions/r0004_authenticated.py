"""Decisions know who was signed in when they were made, and how: "" for those made before, and
where nobody is.

The columns are added by SQL of our own, which both databases take: Alembic gives SQLite a new
table for a constraint, and loses the triggers that keep the log append-only.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; an authenticated name is the one that signs."""
    # SQLAlchemy finds SQLite's constraints by their lines.
    op.execute("ALTER TABLE decisions ADD COLUMN authenticated TEXT NOT NULL DEFAULT ''")
    op.execute(
        "ALTER TABLE decisions ADD COLUMN how VARCHAR(16) NOT NULL DEFAULT ''\n"
        "CONSTRAINT known_how CHECK (how IN ('', 'token', 'user', 'proxy', 'oidc'))\n"
        "CONSTRAINT signed_by_who_is_known CHECK (authenticated IN ('', reviewer))\n"
        "CONSTRAINT known_by_name CHECK ((how IN ('', 'token')) = (authenticated = ''))"
    )
