"""What the readers of a report's batch.json need of it, and `read_record`, which sees to it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from inspection.store.folder import FORMAT, RECORD
from severstal_prep.checked import checked, read_json

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Threshold = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class VerifiedInput:
    """A strip that was inspected; its hash is "" if it could not be opened."""

    strip_id: str
    sha256: str


@dataclass(frozen=True)
class ComparedInput:
    """What another report is compared by."""

    sha256: str


@dataclass(frozen=True)
class ComparedBundle:
    """The model, as far as reports are compared."""

    sha256: str
    classes: Annotated[list[str], Field(min_length=1)]


@dataclass(frozen=True)
class ComparedConfig:
    """The settings, as far as reports are compared."""

    thresholds: dict[str, Threshold] = field(default_factory=dict)
    any_defect_threshold: Threshold | None = None
    stride: int | None = None
    black_threshold: Threshold | None = None


@dataclass(frozen=True)
class ComparedRecord:
    """What it takes to compare and to export a report."""

    fingerprint: str
    batch: str
    started: str
    ended: str
    inputs: list[ComparedInput]
    bundle: ComparedBundle
    config: ComparedConfig


@dataclass(frozen=True)
class RegisteredBundle:
    """The model, as the review keeps it."""

    sha256: Annotated[str, Field(max_length=64)]
    architecture: str
    classes: Annotated[list[str], Field(min_length=1)]


@dataclass(frozen=True)
class RegisteredRecord:
    """What it takes to register a report for the review."""

    fingerprint: Sha256
    batch: str
    batch_folder: str
    ended: AwareDatetime
    bundle: RegisteredBundle
    config: ComparedConfig | None = None


@dataclass(frozen=True)
class VerifiedFile:
    """A file, and its hash."""

    file: str
    sha256: str


@dataclass(frozen=True)
class VerifiedConfig:
    """The settings; `truth` is the label file, if one was given."""

    truth: VerifiedFile | None = None


@dataclass(frozen=True)
class VerifiedBundle:
    """Where the bundle was, and its hashes."""

    folder: str
    sha256: str
    weights_sha256: str


@dataclass(frozen=True)
class VerifiedPolicy:
    """Where the policy was, and its hash."""

    source: str
    sha256: str


@dataclass(frozen=True)
class VerifiedRecord:
    """What it takes to verify a report."""

    batch: str
    batch_folder: str
    config_sha256: str
    versions: dict[str, str]
    inputs: list[VerifiedInput]
    skipped: list[dict[str, Any]]
    config: VerifiedConfig
    bundle: VerifiedBundle
    policy: VerifiedPolicy


def read_record(root: Path, kind: type[Any]) -> dict[str, Any]:
    """The content of a report's batch.json, held against `kind`.

    Raises OSError, and ValueError with one line that names the entry at fault.
    """
    record: dict[str, Any] = read_json(root / RECORD)
    if not isinstance(record, dict):
        raise ValueError(f"{RECORD} holds no object")
    if record.get("format") != FORMAT:
        raise ValueError(f"its format is {record.get('format')!r}, not {FORMAT!r}")
    try:
        checked(kind, record)
    except ValueError as error:
        raise ValueError(f"{RECORD}, {error}") from error
    return record
