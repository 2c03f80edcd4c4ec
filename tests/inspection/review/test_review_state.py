"""The fold from log to state, by hand and against a naive oracle."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspection.review.state import OPEN, Decision, State, state_of, states

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def row(uuid: str, what: str, *seen: str, patch: int = 1) -> Decision:
    """`what` is confirm, reject, a class, or "undo X"."""
    undoes = what.removeprefix("undo ") if what.startswith("undo ") else None
    kind = "undo" if undoes else what if what in ("confirm", "reject") else "reclass"
    value = what if kind == "reclass" else ""
    return Decision(
        uuid=uuid, subject=("patch", patch), kind=kind, value=value, undoes=undoes,  # type: ignore[arg-type]
        reviewer="x", reason="", decided=NOW, recorded=NOW, source="server", in_view_of=seen,
    )  # fmt: skip


def short(state: State) -> tuple[str, list[str], list[str]]:
    return state.status, [decision.uuid for decision in state.current], list(state.tips)


def test_nothing_is_open() -> None:
    assert state_of([]) == OPEN
    with pytest.raises(ValueError, match="open"):
        _ = OPEN.decision


def test_a_later_decision_in_view_of_the_first_replaces_it() -> None:
    log = [row("a", "confirm"), row("b", "reject", "a")]
    assert short(state_of(log)) == ("decided", ["b"], ["b"])


def test_two_that_did_not_see_each_other_are_a_dispute_until_one_saw_both() -> None:
    log = [row("a", "confirm"), row("b", "reject"), row("c", "confirm", "a")]
    assert short(state_of(log)) == ("disputed", ["b", "c"], ["b", "c"])
    with pytest.raises(ValueError, match="disputed"):
        _ = state_of(log).decision
    settled = [*log, row("d", "class 2", "b", "c")]
    assert short(state_of(settled)) == ("decided", ["d"], ["d"])


def test_two_of_one_mind_are_no_dispute() -> None:
    log = [row("a", "class 2"), row("b", "class 2")]
    assert short(state_of(log)) == ("decided", ["a", "b"], ["a", "b"])
    assert state_of(log).decision.uuid == "b"
    assert state_of([row("a", "class 2"), row("b", "class 3")]).status == "disputed"


def test_undo_brings_back_what_was_before_and_can_be_undone() -> None:
    log = [row("a", "confirm"), row("b", "reject", "a"), row("u", "undo b", "b")]
    assert short(state_of(log)) == ("decided", ["a"], ["u"])
    redo = [*log, row("v", "undo u", "u")]
    assert short(state_of(redo)) == ("decided", ["b"], ["v"])
    new = [*log, row("n", "class 4", "u")]
    assert short(state_of(new)) == ("decided", ["n"], ["n"])
    first = [row("a", "confirm"), row("u", "undo a", "a")]
    assert short(state_of(first)) == ("open", [], ["u"])


def test_undo_of_one_side_ends_a_dispute() -> None:
    log = [row("a", "confirm"), row("b", "reject"), row("u", "undo a", "a", "b")]
    assert short(state_of(log)) == ("decided", ["b"], ["u"])


def test_subjects_are_apart() -> None:
    log = [row("a", "confirm", patch=1), row("b", "reject", patch=2), row("c", "reject", patch=1)]
    assert {key: state.status for key, state in states(log).items()} == {
        ("patch", 1): "disputed",
        ("patch", 2): "decided",
    }


@st.composite
def logs(draw: st.DrawFn) -> list[Decision]:
    made: list[Decision] = []
    for number in range(draw(st.integers(0, 7))):
        names = [decision.uuid for decision in made]
        seen = draw(st.lists(st.sampled_from(names), unique=True)) if names else []
        choices = ["confirm", "reject", "class 2", *(f"undo {name}" for name in seen)]
        made.append(row(str(number), draw(st.sampled_from(choices)), *seen))
    return made


@given(logs())
def test_current_is_what_stands_and_no_standing_one_knew_of(log: list[Decision]) -> None:
    by_uuid = {decision.uuid: decision for decision in log}

    def stands(decision: Decision) -> bool:
        return not any(other.undoes == decision.uuid and stands(other) for other in log)

    def knew(later: Decision, earlier: Decision) -> bool:
        return any(
            uuid == earlier.uuid or knew(by_uuid[uuid], earlier) for uuid in later.in_view_of
        )

    standing = [d for d in log if d.kind != "undo" and stands(d)]
    expected = [d for d in standing if not any(knew(other, d) for other in standing)]
    state = state_of(log)
    assert list(state.current) == expected
    assert (state.status == "open") == (not standing)


@given(logs())
def test_a_decision_in_view_of_all_tips_settles_everything(log: list[Decision]) -> None:
    last = row("last", "class 3", *state_of(log).tips)
    assert short(state_of([*log, last])) == ("decided", ["last"], ["last"])
