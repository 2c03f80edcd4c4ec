"""The tables of the review database.

A batch is registered once with its strips and patches; then only the log grows: decisions,
which earlier decisions each was made in view of (`sightings`), and audit samples. Triggers
made by the migration refuse UPDATE and DELETE on the log.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with a time zone, stored as UTC (SQLite keeps none itself)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; SQLite gets it without the zone."""
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """In UTC, with the zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()

batches = Table(
    "batches",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("fingerprint", String(64), nullable=False, unique=True),
    Column("report_sha256", String(64), nullable=False),
    Column("bundle_sha256", String(64), nullable=False),
    Column("architecture", Text, nullable=False),
    Column("classes", JSON, nullable=False),
    Column("report_folder", Text, nullable=False),
    Column("strips_folder", Text, nullable=False),
    Column("inspected", UtcDateTime, nullable=False),
    Column("registered", UtcDateTime, nullable=False),
    Column("settings", String(64), nullable=False, server_default=""),
    Column("patch_size", Integer, nullable=False, server_default="256"),
)

strips = Table(
    "strips",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("batch_id", ForeignKey("batches.id"), nullable=False),
    Column("strip", Text, nullable=False),
    Column("coil", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("inspected", Boolean, nullable=False),
    Column("proposed", String(16), nullable=False),
    UniqueConstraint("batch_id", "strip"),
)

patches = Table(
    "patches",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("strip_id", ForeignKey("strips.id"), nullable=False),
    # In px of all rows of patches, one row after another: see `originals.place`.
    Column("left", Integer, nullable=False),
    Column("patch_key", String(64), nullable=False),
    Column("steel", Boolean, nullable=False),
    Column("flagged", Boolean, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("score", Float, nullable=False),
    UniqueConstraint("strip_id", "left"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("batch_id", ForeignKey("batches.id"), nullable=False, index=True),
    Column("strip_id", ForeignKey("strips.id"), nullable=False),
    Column("patch_id", ForeignKey("patches.id"), nullable=True),
    Column("kind", String(16), nullable=False),
    Column("value", Text, nullable=False),
    Column("undoes", String(36), ForeignKey("decisions.uuid"), nullable=True),
    Column("reviewer", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("decided", UtcDateTime, nullable=False),
    Column("recorded", UtcDateTime, nullable=False),
    Column("source", String(16), nullable=False),
    # Who was signed in at the server; "" where nobody is, and of an imported file.
    Column("authenticated", Text, nullable=False, server_default=""),
    Column("how", String(16), nullable=False, server_default=""),
    CheckConstraint(
        "kind IN ('confirm', 'reject', 'reclass', 'disposition', 'undo')", name="known_kind"
    ),
    CheckConstraint("source IN ('server', 'import')", name="known_source"),
    CheckConstraint("(kind = 'undo') = (undoes IS NOT NULL)", name="undo_names_what"),
    CheckConstraint("kind = 'undo' OR (kind = 'disposition') = (patch_id IS NULL)", name="subject"),
    CheckConstraint("(kind IN ('reclass', 'disposition')) = (value <> '')", name="has_value"),
    CheckConstraint("reviewer <> ''", name="signed"),
    CheckConstraint("how IN ('', 'token', 'user', 'proxy', 'oidc')", name="known_how"),
    CheckConstraint("authenticated IN ('', reviewer)", name="signed_by_who_is_known"),
    CheckConstraint("(how IN ('', 'token')) = (authenticated = '')", name="known_by_name"),
)

sightings = Table(
    "sightings",
    metadata,
    Column("decision", String(36), ForeignKey("decisions.uuid"), primary_key=True),
    Column("seen", String(36), ForeignKey("decisions.uuid"), primary_key=True),
    CheckConstraint("decision <> seen", name="seen_is_another"),
)

samples = Table(
    "samples",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("batch_id", ForeignKey("batches.id"), nullable=False),
    Column("size", Integer, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("population", Integer, nullable=False),
    Column("drawn", UtcDateTime, nullable=False),
    UniqueConstraint("batch_id", "size", "seed"),
)

sampled = Table(
    "sampled",
    metadata,
    Column("sample_id", ForeignKey("samples.id"), primary_key=True),
    Column("patch_id", ForeignKey("patches.id"), primary_key=True),
)

releases = Table(
    "releases",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("batch_id", ForeignKey("batches.id"), nullable=False, index=True),
    Column("coil", Text, nullable=False),
    Column("disposition", String(16), nullable=False),
    Column("name", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("seal", String(64), nullable=False),
    Column("open", Integer, nullable=False),
    Column("decided", Integer, nullable=False),
    Column("authenticated", Text, nullable=False),
    Column("how", String(16), nullable=False),
    Column("signed", UtcDateTime, nullable=False),
    CheckConstraint("name <> ''", name="release_is_signed"),
)

LOG = ("decisions", "sightings", "samples", "sampled")
"""Tables whose rows are never changed or removed."""
