"""Batches with their strips and patches; the log, which only grows.

A migration keeps its own copy of the tables: `schema` goes on, this one stays.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

LOG_KEYS = {
    "decisions": "id = NEW.id OR uuid = NEW.uuid",
    "sightings": "decision = NEW.decision AND seen = NEW.seen",
    "samples": "id = NEW.id OR (batch_id = NEW.batch_id AND size = NEW.size AND seed = NEW.seed)",
    "sampled": "sample_id = NEW.sample_id AND patch_id = NEW.patch_id",
}
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables, and the triggers that keep the log append-only."""
    _make_batches()
    _make_decisions()
    _make_samples()
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


def _make_batches() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False, unique=True),
        sa.Column("report_sha256", sa.String(64), nullable=False),
        sa.Column("bundle_sha256", sa.String(64), nullable=False),
        sa.Column("architecture", sa.Text, nullable=False),
        sa.Column("classes", sa.JSON, nullable=False),
        sa.Column("report_folder", sa.Text, nullable=False),
        sa.Column("strips_folder", sa.Text, nullable=False),
        sa.Column("inspected", MOMENT, nullable=False),
        sa.Column("registered", MOMENT, nullable=False),
    )
    op.create_table(
        "strips",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("batch_id", sa.Integer, sa.ForeignKey("batches.id"), nullable=False),
        sa.Column("strip", sa.Text, nullable=False),
        sa.Column("coil", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("inspected", sa.Boolean, nullable=False),
        sa.Column("proposed", sa.String(16), nullable=False),
        sa.UniqueConstraint("batch_id", "strip"),
    )
    op.create_table(
        "patches",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("strip_id", sa.Integer, sa.ForeignKey("strips.id"), nullable=False),
        sa.Column("left", sa.Integer, nullable=False),
        sa.Column("patch_key", sa.String(64), nullable=False),
        sa.Column("steel", sa.Boolean, nullable=False),
        sa.Column("flagged", sa.Boolean, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.UniqueConstraint("strip_id", "left"),
    )


def _make_decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("uuid", sa.String(36), nullable=False, unique=True),
        sa.Column("batch_id", sa.Integer, sa.ForeignKey("batches.id"), nullable=False, index=True),
        sa.Column("strip_id", sa.Integer, sa.ForeignKey("strips.id"), nullable=False),
        sa.Column("patch_id", sa.Integer, sa.ForeignKey("patches.id"), nullable=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("undoes", sa.String(36), sa.ForeignKey("decisions.uuid"), nullable=True),
        sa.Column("reviewer", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("decided", MOMENT, nullable=False),
        sa.Column("recorded", MOMENT, nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.CheckConstraint(
            "kind IN ('confirm', 'reject', 'reclass', 'disposition', 'undo')", name="known_kind"
        ),
        sa.CheckConstraint("source IN ('server', 'import')", name="known_source"),
        sa.CheckConstraint("(kind = 'undo') = (undoes IS NOT NULL)", name="undo_names_what"),
        sa.CheckConstraint(
            "kind = 'undo' OR (kind = 'disposition') = (patch_id IS NULL)", name="subject"
        ),
        sa.CheckConstraint(
            "(kind IN ('reclass', 'disposition')) = (value <> '')", name="has_value"
        ),
        sa.CheckConstraint("reviewer <> ''", name="signed"),
    )
    op.create_table(
        "sightings",
        sa.Column("decision", sa.String(36), sa.ForeignKey("decisions.uuid"), primary_key=True),
        sa.Column("seen", sa.String(36), sa.ForeignKey("decisions.uuid"), primary_key=True),
        sa.CheckConstraint("decision <> seen", name="seen_is_another"),
    )


def _make_samples() -> None:
    op.create_table(
        "samples",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("batch_id", sa.Integer, sa.ForeignKey("batches.id"), nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("seed", sa.Integer, nullable=False),
        sa.Column("population", sa.Integer, nullable=False),
        sa.Column("drawn", MOMENT, nullable=False),
        sa.UniqueConstraint("batch_id", "size", "seed"),
    )
    op.create_table(
        "sampled",
        sa.Column("sample_id", sa.Integer, sa.ForeignKey("samples.id"), primary_key=True),
        sa.Column("patch_id", sa.Integer, sa.ForeignKey("patches.id"), primary_key=True),
    )


def _guard_sqlite() -> None:
    refuse = "BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END"
    for table, same_key in LOG_KEYS.items():
        for event in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{event.lower()} BEFORE {event} ON {table} {refuse}"
            )
        # INSERT OR REPLACE deletes without firing the trigger on DELETE.
        rows = f"SELECT 1 FROM {table} WHERE {same_key}"  # noqa: S608
        op.execute(
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
            f"WHEN EXISTS ({rows}) {refuse}"
        )


def _guard_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the log is append-only'; END $$"
    )
    for table in LOG_KEYS:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
