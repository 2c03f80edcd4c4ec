"""Whether a report, and what it was made from, are still what batch.json and SHA256SUMS say.

Three things are compared: the files of the report with SHA256SUMS, the hashes inside
batch.json with what they are hashes of, and the sources, as far as they are here: the strips
of the batch, the files of the bundle, the policy, the label file.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from inspection.errors import BatchError, ReportFolderError
from inspection.pipeline.strips import list_batch
from inspection.store.checksums import CHECKSUMS, read_checksums, report_files
from inspection.store.folder import RECORD
from inspection.store.record_types import VerifiedRecord, read_record
from inspection.store.tables import content_key
from severstal_prep.files import file_sha256
from sise.bundle import CARD_NAME, WEIGHTS_NAME

Part = Literal["report", "record", "batch", "bundle", "policy", "truth"]
State = Literal["same", "changed", "missing", "new", "unreadable", "not here"]

DIFFERENT: tuple[State, ...] = ("changed", "missing", "new")


@dataclass(frozen=True)
class Finding:
    """What became of one recorded thing: a file of `part`, or a hash inside batch.json.

    "unreadable": it is there, but cannot be read. "not here": a source that is not on this
    machine, so that nothing can be said of it.
    """

    part: Part
    state: State
    name: str
    detail: str = ""


@dataclass(frozen=True)
class Verification:
    """All findings, in the order report, record, batch, bundle, policy, truth.

    `seal` is the SHA-256 of the report's SHA256SUMS, "" if it has none.
    """

    findings: tuple[Finding, ...]
    seal: str

    def having(self, *states: State) -> tuple[Finding, ...]:
        """The findings in one of these states."""
        return tuple(finding for finding in self.findings if finding.state in states)


@dataclass(frozen=True)
class Request:
    """What to verify. `batch` and `bundle` are where these lie now, None for where batch.json
    says; `seal` is what somebody wrote down when the report was made, None if nobody did."""

    report: Path
    batch: Path | None = None
    bundle: Path | None = None
    seal: str | None = None


def verify(request: Request) -> Verification:
    """Compare a report and its sources with what it records.

    Raises ReportFolderError for a folder without a report, and for a seal that is none.
    """
    report = request.report
    if not any((report / name).is_file() for name in (RECORD, CHECKSUMS)):
        raise ReportFolderError(
            f"{report}: no inspection report here ({RECORD} and {CHECKSUMS} are missing); "
            "name the folder that holds index.html"
        )
    if request.seal is not None and not re.fullmatch("[0-9a-f]{64}", request.seal.strip().lower()):
        raise ReportFolderError(
            f"--seal {request.seal!a}: give the 64 hexadecimal digits of a seal"
        )
    seal = file_sha256(report / CHECKSUMS) if (report / CHECKSUMS).is_file() else ""
    findings = [*_check_seal(seal, request.seal), *check_files(report)]
    record, damage = _read_record(report)
    findings += damage
    if record is not None:
        findings += check_record(record)
        findings += check_batch(record, request.batch)
        findings += check_bundle(record, request.bundle)
        findings += check_policy(record)
        findings += check_truth(record)
    return Verification(tuple(findings), seal)


def _check_seal(seal: str, expected: str | None) -> Iterator[Finding]:
    if expected is not None and seal:
        same = seal == expected.strip().lower()
        detail = "" if same else "its SHA-256 is not the seal given"
        yield Finding("report", "same" if same else "changed", CHECKSUMS, detail)


def check_files(report: Path) -> list[Finding]:
    """The files of a report folder against its SHA256SUMS."""
    if not (report / CHECKSUMS).is_file():
        return [
            Finding("report", "missing", CHECKSUMS, "the files of the report cannot be checked")
        ]
    try:
        sums = read_checksums(report)
    except ReportFolderError as error:
        return [Finding("report", "changed", CHECKSUMS, str(error))]
    listed = [_compare("report", name, report / name, sums[name]) for name in sorted(sums)]
    return listed + [
        Finding("report", "new", name) for name in report_files(report) if name not in sums
    ]


def _compare(part: Part, name: str, path: Path, recorded: str) -> Finding:
    if not path.exists() and not path.is_symlink():
        return Finding(part, "missing", name)
    try:
        if not path.is_file():
            return Finding(part, "changed", name, "no longer a file")
        same = file_sha256(path) == recorded
    except OSError as error:
        return Finding(part, "unreadable", name, error.strerror or "")
    return Finding(part, "same" if same else "changed", name)


def _read_record(report: Path) -> tuple[Mapping[str, Any] | None, list[Finding]]:
    """batch.json, or what is wrong with it; that it is missing or changed is found elsewhere."""
    try:
        record = read_record(report, VerifiedRecord)
        if "steel-sise" not in record["versions"]:
            raise ValueError(f"{RECORD}, versions, steel-sise: Field required")
        return record, []
    except FileNotFoundError:
        return None, []
    except (OSError, ValueError) as error:
        reason = f"damaged ({error}); the sources are not checked"
        return None, [Finding("record", "changed", RECORD, reason)]


def _inputs(record: Mapping[str, Any]) -> dict[str, str]:
    return {str(entry["strip_id"]): str(entry["sha256"]) for entry in record["inputs"]}


def _fingerprint(record: Mapping[str, Any]) -> str:
    """The fingerprint (see `record.fingerprint`) of what a batch.json says."""
    lines = (f"{entry['sha256']} {entry['strip_id']}\n" for entry in record["inputs"])
    return content_key(
        format=record["format"],
        version=record["versions"]["steel-sise"],
        batch=record["batch"],
        inputs=hashlib.sha256("".join(lines).encode()).hexdigest(),
        skipped=record["skipped"],
        bundle=record["bundle"]["sha256"],
        policy=record["policy"]["sha256"],
        config=record["config"],
        **({"coils": record["coils"]} if record.get("coils") else {}),
    )


def check_record(record: Mapping[str, Any]) -> list[Finding]:
    """The hashes inside batch.json against the entries that they are hashes of."""
    hashes = (
        ("config_sha256", record["config_sha256"], content_key(**record["config"])),
        ("fingerprint", record.get("fingerprint"), _fingerprint(record)),
    )
    return [
        Finding("record", "same", name)
        if recorded == computed
        else Finding("record", "changed", name, f"{RECORD} now gives {computed}")
        for name, recorded, computed in hashes
    ]


def check_batch(record: Mapping[str, Any], folder: Path | None) -> list[Finding]:
    """The strips of the batch folder against those inspected; `folder` None as recorded."""
    root = folder or Path(record["batch_folder"])
    recorded = _inputs(record)
    if not root.is_dir():
        return [Finding("batch", "not here", str(folder or record["batch_folder"]))]
    try:
        now = {strip.strip_id: strip.sha256 for strip in list_batch(root).strips}
    except BatchError as error:
        if any(root.iterdir()):
            return [Finding("batch", "unreadable", str(root), str(error))]
        now = {}
    return [
        *(_compare_strip(name, sha256, now.get(name)) for name, sha256 in recorded.items()),
        *(Finding("batch", "new", name) for name in now if name not in recorded),
        *_coil_files(record, root),
    ]


def _coil_files(record: Mapping[str, Any], root: Path) -> Iterator[Finding]:
    """What tells of the coils, a finding a file; records of earlier versions know none."""
    recorded = {str(coil["file"]): str(coil["sha256"]) for coil in record.get("coils", ())}
    for name, sha256 in recorded.items():
        if (root / name).resolve().is_relative_to(root.resolve()):
            yield _compare("batch", name, root / name, sha256)


def _compare_strip(name: str, recorded: str, now: str | None) -> Finding:
    """Hashes are "" for a file that could not be opened."""
    if now is None:
        return Finding("batch", "missing", name)
    if now == recorded:
        return Finding("batch", "same", name)
    return Finding("batch", "changed" if now else "unreadable", name)


def check_bundle(record: Mapping[str, Any], folder: Path | None) -> list[Finding]:
    """The files of the model bundle against those that were used; `folder` None as recorded."""
    root = folder or Path(record["bundle"]["folder"])
    if not root.is_dir():
        return [Finding("bundle", "not here", str(folder or record["bundle"]["folder"]))]
    files = {CARD_NAME: "sha256", WEIGHTS_NAME: "weights_sha256"}
    return [
        _compare("bundle", name, root / name, record["bundle"][key]) for name, key in files.items()
    ]


def check_policy(record: Mapping[str, Any]) -> list[Finding]:
    """The policy's file against the one that was applied.

    The packaged policy is part of the version that batch.json names, and is not looked for.
    """
    source = record["policy"]["source"]
    known = Path(source).is_absolute() or "://" in source
    return [_compare_source("policy", source, record["policy"]["sha256"])] if known else []


def check_truth(record: Mapping[str, Any]) -> list[Finding]:
    """The label file against the one that the batch was held against, if it was."""
    truth = record["config"].get("truth")
    if truth is None:
        return []
    return [_compare_source("truth", truth["file"], truth["sha256"])]


def _compare_source(part: Part, name: str, recorded: str) -> Finding:
    if not Path(name).exists():
        return Finding(part, "not here", name)
    return _compare(part, name, Path(name), recorded)


def as_text(verification: Verification) -> Iterable[str]:
    """A line for everything that is not the same, then how many things are in which state."""
    for finding in verification.findings:
        if finding.state != "same":
            detail = f" ({finding.detail})" if finding.detail else ""
            yield printable(f"{finding.state:<10} {finding.part:<7} {finding.name}{detail}")
    counted = Counter(finding.state for finding in verification.findings)
    yield ", ".join(f"{number} {state}" for state, number in counted.items())
    if verification.seal:
        yield f"seal {verification.seal}"


def printable(text: str) -> str:
    """The text with what a terminal would act on, or could not show, escaped."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )
