"""Decision files: what they may hold, and one clear line for what they may not."""

import json
from pathlib import Path
from typing import Any

import pytest
from review_toys import entry, registered_report, states_of, uuid, write_file

from inspection.review.database import Database
from inspection.review.decisions import Disposal, Reclass, Undo, Verdict, read_decisions
from inspection.review.errors import DecisionError
from inspection.review.import_decisions import import_decisions

BATCH = {"name": "b", "fingerprint": "0f" * 32}


def write(path: Path, **changes: Any) -> Path:
    content = {"format": "steel-sise decisions 1", "batch": BATCH, "decisions": []} | changes
    path.write_text(json.dumps(content), "utf-8")
    return path


def test_every_kind_is_read(tmp_path: Path) -> None:
    entries = [
        entry(1, "confirm", "a.png", 0),
        entry(2, "reject", "строп\n.png", 224, seen=[1]),
        entry(3, "reclass", "a.png", 0, **{"class": "class 2"}),
        entry(4, "disposition", "a.png", disposition="hold"),
        entry(5, "undo", "a.png", undoes=uuid(4), seen=[4]),
    ]
    found = read_decisions(write(tmp_path / "d.json", decisions=entries)).decisions
    assert [type(made) for made in found] == [Verdict, Verdict, Reclass, Disposal, Undo]
    _, second, third, fourth, fifth = found
    assert isinstance(second, Verdict)
    assert (second.strip, second.left, str(second.in_view_of[0])) == ("строп\n.png", 224, uuid(1))
    assert isinstance(third, Reclass)
    assert third.class_name == "class 2"
    assert isinstance(fourth, Disposal)
    assert fourth.disposition == "hold"
    assert isinstance(fifth, Undo)
    assert (str(fifth.undoes), fifth.left) == (uuid(4), None)
    assert fifth.time.isoformat() == "2026-11-02T06:00:00+00:00"


CONFIRM = entry(1, "confirm", "a.png", 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "steel-sise decisions 2"}, "format: Input should be 'steel-sise decisions 1'"),
        ({"batch": {"name": "b"}}, "batch, fingerprint: Field required"),
        ({"batch": BATCH | {"fingerprint": "../x"}}, "batch, fingerprint: String should match"),
        ({"extra": 1}, "extra: Extra inputs are not permitted"),
        ({"decisions": [CONFIRM, CONFIRM | {"kind": "like"}]}, "decision 2: Input tag 'like'"),
        ({"decisions": [CONFIRM | {"left": -1}]}, "decision 1, left: Input should be greater"),
        ({"decisions": [CONFIRM | {"left": "0"}]}, "decision 1, left: Input should be a valid int"),
        ({"decisions": [CONFIRM | {"left": 2**40}]}, "decision 1, left: Input should be less"),
        ({"decisions": [CONFIRM | {"id": "1"}]}, "decision 1, id: Input should be a valid UUID"),
        ({"decisions": [CONFIRM | {"time": "2026-11-02T06:00:00"}]}, "have timezone info"),
        ({"decisions": [CONFIRM | {"reviewer": "  "}]}, "reviewer: must not be blank"),
        ({"decisions": [CONFIRM | {"reviewer": "a\nb"}]}, "control characters are not allowed"),
        ({"decisions": [CONFIRM | {"reviewer": "x" * 201}]}, "at most 200 characters"),
        ({"decisions": [CONFIRM | {"reason": "a\x00b"}]}, "reason: control"),
        ({"decisions": [CONFIRM | {"reason": "x" * 2001}]}, "at most 2000 characters"),
        ({"decisions": [CONFIRM | {"class": "class 1"}]}, "class: Extra inputs"),
        (
            {"decisions": [entry(1, "disposition", "a.png", disposition="sell")]},
            "decision 1, disposition: Input should be 'accept', 'hold', 'rework' or 'scrap'",
        ),
        ({"decisions": [CONFIRM | {"left": None, "strip": 3}]}, "(and 1 more); export"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, changes: Any, message: str) -> None:
    path = write(tmp_path / "d.json", **changes)
    with pytest.raises(DecisionError) as refused:
        read_decisions(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "export the decisions again, or mend this entry" in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'"\\ud800"'])
def test_what_is_no_json_object_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "d.json").write_bytes(content)
    with pytest.raises(DecisionError) as refused:
        read_decisions(tmp_path / "d.json")
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DecisionError, match="cannot be read"):
        read_decisions(tmp_path / "none.json")


def test_files_are_taken_in_whole_or_not_at_all(database: Database, tmp_path: Path) -> None:
    report = registered_report(database, tmp_path, {"a.png": ["class 1", "normal"]})
    good = write_file(tmp_path / "good.json", report, CONFIRM)
    bad = write_file(
        tmp_path / "bad.json",
        report,
        entry(2, "confirm", "a.png", 256),
        entry(3, "reject", "a.png", 512, seen=[1]),
    )
    with pytest.raises(DecisionError) as refused:
        import_decisions(database, [good, bad])
    assert str(refused.value) == f"{bad}: decision 2: strip 'a.png' has no patch at 512 px"
    assert states_of(database, report) == []
    assert [(taken.entries, taken.added) for taken in import_decisions(database, [good, good])] == [
        (1, 1),
        (1, 0),
    ]
    (state,) = states_of(database, report)
    assert state.decision.source == "import"


def test_a_batch_that_is_not_registered_is_refused(database: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "d.json")
    with pytest.raises(DecisionError, match=r"d.json: the batch 0f0f0f0f0f0f0f0f… is not reg"):
        import_decisions(database, [path])


def test_a_file_may_build_on_itself_and_on_what_came_before(
    database: Database, tmp_path: Path
) -> None:
    report = registered_report(database, tmp_path, {"a.png": ["class 1"]})
    one = write_file(tmp_path / "1.json", report, CONFIRM, entry(2, "reject", "a.png", 0, seen=[1]))
    two = write_file(tmp_path / "2.json", report, entry(3, "confirm", "a.png", 0, seen=[2]))
    with pytest.raises(DecisionError, match="import that file first"):
        import_decisions(database, [two, one])
    import_decisions(database, [one, two])
    (state,) = states_of(database, report)
    assert [decision.uuid for decision in state.current] == [uuid(3)]


def test_a_file_of_something_else_and_a_folder_are_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text('{"batch": "b", "exit_status": 0}')
    for path, what in ((tmp_path / "d.json", "no file of decisions"), (tmp_path, "a folder")):
        with pytest.raises(DecisionError) as refused:
            read_decisions(path)
        assert str(refused.value) == (
            f"{path}: {what}; import takes the file that a report's page wrote by Export decisions"
        )
