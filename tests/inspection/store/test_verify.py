import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_reports import report_of
from toys import FakeExplainer, strip, write_strip

from inspection.commands import verify as command
from inspection.errors import ReportFolderError
from inspection.store.checksums import read_checksums, report_files, write_checksums
from inspection.store.verify import Finding, Request, Verification, _fingerprint, printable, verify


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a batch of two strips, a policy and the report, as a run leaves it."""
    root = tmp_path_factory.mktemp("тест dir")
    write_strip(root / "batch" / "cam 1" / "a.png", strip(256, bright=[100]))
    write_strip(root / "batch" / "b.png", strip(256))
    policy = "name: strict\nversion: 2\ndefault_threshold: 0.4\n"
    (root / "policy.yaml").write_text(policy)
    report_of(root / "batch", root / "report", FakeExplainer(), root / "policy.yaml")
    return root


@pytest.fixture
def report(made: Path, tmp_path: Path) -> Path:
    """A copy of the folder with the report in it sealed, and a bundle of two files."""
    root = tmp_path / "тест dir"
    shutil.copytree(made, root)
    (root / "bundle").mkdir()
    (root / "bundle" / "model.json").write_text("{}")
    (root / "bundle" / "weights.safetensors").write_bytes(b"w")
    card = json.loads((root / "report" / "batch.json").read_text("utf-8"))
    card["batch_folder"] = str(root / "batch")
    card["policy"]["source"] = str(root / "policy.yaml")
    card["bundle"] |= {
        "folder": str(root / "bundle"), "sha256": sha(b"{}"), "weights_sha256": sha(b"w")
    }  # fmt: skip
    card["fingerprint"] = _fingerprint(card)
    (root / "report" / "batch.json").write_text(json.dumps(card), "utf-8")
    write_checksums(root / "report")
    return root / "report"


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def differing(found: Verification) -> list[tuple[str, str, str]]:
    return [(f.part, f.state, f.name) for f in found.findings if f.state != "same"]


def run(report: Path, *options: str) -> int:
    return command.run(command.parser().parse_args([str(report), *options]))


def test_nothing_differs_in_a_fresh_report(
    report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = verify(Request(report))
    assert differing(found) == []
    parts = [finding.part for finding in found.findings]
    files = len(list(report_files(report)))
    assert [parts.count(part) for part in ("report", "record", "batch", "bundle", "policy")] == [
        files, 2, 2, 2, 1
    ]  # fmt: skip
    assert run(report) == 0
    assert capsys.readouterr().out == f"{files + 7} same\nseal {found.seal}\n"


def test_the_record_of_a_run_is_consistent(made: Path) -> None:
    records = [f for f in verify(Request(made / "report")).findings if f.part == "record"]
    assert records == [
        Finding("record", "same", "config_sha256"),
        Finding("record", "same", "fingerprint"),
    ]


def test_the_sums_are_those_of_sha256sum(report: Path) -> None:
    listed = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"],
        cwd=report, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (listed.returncode, listed.stdout) == (0, "")
    assert set(read_checksums(report)) == set(report_files(report))
    for name in ("index.html", "batch.json", "results.parquet", "flagged.csv", "data/report.js"):
        assert name in read_checksums(report)
    assert not {"log.jsonl", "SHA256SUMS"} & set(read_checksums(report))


def test_what_changed_is_missing_or_is_new_in_the_report_is_named(
    report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (report / "flagged.csv").write_bytes((report / "flagged.csv").read_bytes() + b"\n")
    (report / "strips.parquet").unlink()
    (report / "img" / "extra.png").write_bytes(b"")
    (report / "log.jsonl").write_text("a log grows")
    (report / "Thumbs.db").write_text("")
    assert differing(verify(Request(report))) == [
        ("report", "changed", "flagged.csv"),
        ("report", "missing", "strips.parquet"),
        ("report", "new", "img/extra.png"),
    ]
    assert run(report) == 3
    assert capsys.readouterr().out.splitlines()[:3] == [
        "changed    report  flagged.csv",
        "missing    report  strips.parquet",
        "new        report  img/extra.png",
    ]


def test_what_changed_in_the_sources_is_named(report: Path) -> None:
    root = report.parent
    write_strip(root / "batch" / "b.png", strip(256, bright=[0]))
    (root / "batch" / "cam 1" / "a.png").rename(root / "batch" / "cam 1" / "c.png")
    (root / "bundle" / "weights.safetensors").write_bytes(b"v")
    (root / "bundle" / "model.json").unlink()
    (root / "policy.yaml").write_text("name: lax\nversion: 3\n")
    assert differing(verify(Request(report))) == [
        ("batch", "changed", "b.png"),
        ("batch", "missing", "cam 1/a.png"),
        ("batch", "new", "cam 1/c.png"),
        ("bundle", "missing", "model.json"),
        ("bundle", "changed", "weights.safetensors"),
        ("policy", "changed", str(root / "policy.yaml")),
    ]


def test_the_label_file_is_compared_where_it_still_is(tmp_path: Path) -> None:
    root = tmp_path / "тест dir"
    write_strip(root / "batch" / "a.png", strip(1600, bright=[40]))
    labels = root / "labels.csv"
    labels.write_text("ImageId,ClassId,EncodedPixels\na.png,1,1 5\n")
    report_of(root / "batch", root / "report", FakeExplainer(), truth=labels)

    def found() -> list[Finding]:
        return [f for f in verify(Request(root / "report")).findings if f.part == "truth"]

    assert found() == [Finding("truth", "same", str(labels))]
    assert run(root / "report") == 0
    labels.write_text("ImageId,ClassId,EncodedPixels\na.png,1,1 6\n")
    assert found() == [Finding("truth", "changed", str(labels))]
    assert run(root / "report") == 3
    labels.unlink()
    assert found() == [Finding("truth", "not here", str(labels))]
    assert run(root / "report") == 0


def test_an_emptied_batch_folder_misses_every_strip(report: Path) -> None:
    shutil.rmtree(report.parent / "batch")
    (report.parent / "batch").mkdir()
    states = [f.state for f in verify(Request(report)).findings if f.part == "batch"]
    assert states == ["missing", "missing"]


def test_sources_that_are_elsewhere_are_named_and_can_be_pointed_to(
    report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = report.parent
    for name in ("batch", "bundle"):
        (root / name).rename(root / f"{name} moved")
    (root / "policy.yaml").unlink()
    assert differing(verify(Request(report))) == [
        ("batch", "not here", str(root / "batch")),
        ("bundle", "not here", str(root / "bundle")),
        ("policy", "not here", str(root / "policy.yaml")),
    ]
    assert run(report) == 0
    assert "3 not here" in capsys.readouterr().out
    moved = Request(report, root / "batch moved", root / "bundle moved")
    assert [state for _, state, _ in differing(verify(moved))] == ["not here"]


def test_a_record_that_was_edited_contradicts_its_hashes(report: Path) -> None:
    card = json.loads((report / "batch.json").read_text("utf-8"))
    card["config"]["thresholds"]["class 1"] = 0.99
    (report / "batch.json").write_text(json.dumps(card), "utf-8")
    write_checksums(report)
    assert differing(verify(Request(report))) == [
        ("record", "changed", "config_sha256"),
        ("record", "changed", "fingerprint"),
    ]


@pytest.mark.parametrize("seal", ["abc", "", "g" * 64])
def test_a_seal_that_is_none_is_refused(report: Path, seal: str) -> None:
    with pytest.raises(ReportFolderError, match=f"--seal '{seal}': give the 64 hexadecimal"):
        run(report, "--seal", seal)


def test_a_seal_tells_a_report_from_one_that_was_sealed_anew(report: Path) -> None:
    seal = verify(Request(report)).seal
    assert seal == sha((report / "SHA256SUMS").read_bytes())
    assert run(report, "--seal", f" {seal.upper()}") == 0
    (report / "index.html").write_text("forged")
    write_checksums(report)
    assert run(report) == 0
    assert differing(verify(Request(report, seal=seal))) == [("report", "changed", "SHA256SUMS")]


def test_a_report_without_sums_cannot_be_vouched_for(report: Path) -> None:
    (report / "SHA256SUMS").unlink()
    assert differing(verify(Request(report))) == [("report", "missing", "SHA256SUMS")]
    assert run(report) == 3


@pytest.mark.parametrize("content", ["{", "[]", '{"inputs": []}', '{"inputs": 3}'])
def test_a_damaged_record_is_a_finding(report: Path, content: str) -> None:
    (report / "batch.json").write_text(content)
    assert differing(verify(Request(report))) == [
        ("report", "changed", "batch.json"),
        ("record", "changed", "batch.json"),
    ]


def test_no_report_is_wrong_usage(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ReportFolderError, match="no inspection report here") as caught:
            verify(Request(folder))
        assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "img/../../secret"])
def test_a_list_that_leads_out_of_the_report_is_not_followed(report: Path, name: str) -> None:
    (report.parent / "secret").write_text("s")
    with (report / "SHA256SUMS").open("a") as stream:
        stream.write(f"{sha(b's')}  {name}\n")
    (finding,) = [f for f in verify(Request(report)).findings if f.state != "same"]
    assert (finding.state, finding.name) == ("changed", "SHA256SUMS")
    assert "outside the report" in finding.detail


def test_a_link_to_a_device_is_not_read(report: Path) -> None:
    (report / "index.html").unlink()
    (report / "index.html").symlink_to("/dev/zero")
    assert differing(verify(Request(report))) == [("report", "changed", "index.html")]


def test_hostile_file_names_are_listed_and_shown_on_one_line(
    report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "img/a\nnew        report  x\r\\n\x1b[2J.png"
    (report / name).write_text("x")
    assert run(report) == 3
    out = capsys.readouterr().out
    assert out.splitlines()[0] == r"new        report  img/a\nnew        report  x\r\n\x1b[2J.png"
    write_checksums(report)
    assert read_checksums(report)[name] == sha(b"x")
    assert run(report) == 0


@given(st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1))
def test_any_name_survives_the_list(name: str) -> None:
    from inspection.store.checksums import _line, _parse

    if name != "..":
        line = _line("ab" * 32, name)
        assert line.count("\n") == 1
        assert _parse(line.removesuffix("\n"), "") == (name, "ab" * 32)
    assert printable(name).isprintable()
