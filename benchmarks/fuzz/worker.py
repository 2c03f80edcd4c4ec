"""One target under one driver, in a process of its own: `worker.py TARGET DRIVER SEED … STATE`.

hypothesis  changes valid inputs in their structure: entries of JSON and YAML, columns of Parquet
            tables, parts of all others
atheris     changes bytes, and keeps what reaches new code

STATE/TARGET.DRIVER is mapped into memory: how many inputs there were, and the one being read, so
that neither is lost if the process dies. STATE/findings.jsonl gets a line for each finding of a new
kind, STATE/findings/ its input.
"""

import argparse
import contextlib
import copy
import hashlib
import io
import json
import mmap
import os
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from targets import TARGETS, Errors, Parse, Target  # noqa: E402

CPU_SECONDS = 5.0
"""More than so many for one input is a hang."""
WALL_SECONDS = 120
LARGEST = 2**20
OURS = ("severstal_prep", "sise", "training", "inspection")
_HEAD = struct.Struct("QQ")


@dataclass
class Judge:
    """Gives inputs to a parser, and notes which broke the contract."""

    target: Target
    parse: Parse
    errors: Errors
    findings: list[dict[str, str]] = field(default_factory=list)
    inputs: int = 0

    def __call__(self, content: bytes) -> None:
        self.inputs += 1
        cpu, peak = time.process_time(), _peak()
        try:
            self.parse(content)
        except self.errors as error:
            said = str(error)
            if not said or "\n" in said:
                self._note(content, error, "an error of ours that is not one line")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit, and what Rust raises, too
            self._note(content, error, "not an error of ours")
        spent = time.process_time() - cpu
        if spent > CPU_SECONDS:
            self._note(content, None, f"{spent:.0f} s of processor time")
        if _peak() - peak > self.target.memory:
            self._note(content, None, f"{(_peak() - peak) / 2**20:.0f} MiB")

    def _note(self, content: bytes, error: BaseException | None, what: str) -> None:
        where = ""
        if error is not None:
            frames = [f for f in traceback.extract_tb(error.__traceback__) if _is_ours(f.filename)]
            where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
            what = f"{what}: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        self.findings.append(
            {
                "target": self.target.name,
                "kind": type(error).__name__ if error else "limit",
                "where": where.removeprefix(f"{ROOT}/"),
                "what": what,
                "input": hashlib.sha256(content).hexdigest()[:16],
            }
        )


def _is_ours(file: str) -> bool:
    path = Path(file)
    return path.is_relative_to(ROOT) and path.relative_to(ROOT).parts[0] in OURS


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def limit_memory(more: int) -> None:
    """Let this process have so many bytes more than it has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


class Recorder:
    """Keeps count, input and findings of a judge where they outlive the process."""

    def __init__(self, state: Path, driver: str, judge: Judge) -> None:
        self.judge, self.state = judge, state
        file = state / f"{judge.target.name}.{driver}"
        with file.open("wb") as stream:
            stream.truncate(_HEAD.size + LARGEST)
        descriptor = os.open(file, os.O_RDWR)
        self.map = mmap.mmap(descriptor, _HEAD.size + LARGEST)
        os.close(descriptor)
        (state / "findings").mkdir(exist_ok=True)
        self.log = state / "findings.jsonl"
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.known = {_kind(json.loads(line)) for line in lines}

    def __call__(self, content: bytes) -> None:
        content = content[:LARGEST]
        self.map[: _HEAD.size] = _HEAD.pack(self.judge.inputs + 1, len(content))
        self.map[_HEAD.size : _HEAD.size + len(content)] = content
        signal.alarm(WALL_SECONDS)
        before = len(self.judge.findings)
        self.judge(content)
        signal.alarm(0)
        for finding in self.judge.findings[before:]:
            if _kind(finding) not in self.known:
                self.known.add(_kind(finding))
                (self.state / "findings" / finding["input"]).write_bytes(content)
                with self.log.open("a") as stream:
                    print(json.dumps(finding), file=stream)


def _kind(finding: dict[str, str]) -> tuple[str, ...]:
    return finding["target"], finding["kind"], finding["where"]


def last_input(file: Path) -> tuple[int, bytes]:
    """How many inputs a process had, and the last one."""
    content = file.read_bytes()
    inputs, length = _HEAD.unpack(content[: _HEAD.size])
    return inputs, content[_HEAD.size : _HEAD.size + length]


# --- hypothesis -----------------------------------------------------------------------------------


def changed(target: Target) -> Any:
    """A strategy of bytes: valid inputs of the target, changed in a few places."""
    from hypothesis import strategies as st

    seeds = list(target.seeds())
    trees = [tree for tree in map(_tree, seeds) if tree is not None]
    frames = [seed for seed in seeds if seed.startswith(b"PAR1")]
    odd = _odd(st)

    @st.composite
    def inputs(draw: Any) -> bytes:
        how = draw(st.integers(0, 3))
        if how and trees:
            content = json.dumps(_change_tree(draw, st, draw(st.sampled_from(trees)), odd)).encode()
        elif how and frames:
            content = _change_table(draw, st, draw(st.sampled_from(frames)))
        else:
            content = draw(st.sampled_from(seeds))
        if how == 3 and (trees or frames):
            return content
        content = _change_bytes(draw, st, content, seeds, target.tokens)
        return target.repair(content) if target.repair and draw(st.booleans()) else content

    return inputs()


def _tree(seed: bytes) -> Any:
    import yaml

    try:
        tree = yaml.safe_load(seed)
    except Exception:
        return None
    return tree if isinstance(tree, dict) else None


def _odd(st: Any) -> Any:
    deep: Any = 1
    for _ in range(60):
        deep = [deep]
    numbers = st.one_of(st.integers(), st.floats(), st.sampled_from([0, -1, 2**31, 2**63, 2**64]))
    plain = st.one_of(
        st.none(), st.booleans(), numbers, st.text(), st.just("\ud800"), st.just(deep)
    )
    return st.recursive(
        plain,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=6,
    )


def _change_tree(draw: Any, st: Any, tree: Any, odd: Any) -> Any:
    tree = json.loads(json.dumps(tree, default=str))
    for _ in range(draw(st.integers(1, 3))):
        places: list[tuple[Any, Any]] = []
        _collect(tree, places)
        if not places:
            break
        inside, key = draw(st.sampled_from(places))
        match draw(st.integers(0, 4)):
            case 0 | 1:
                inside[key] = copy.deepcopy(draw(odd))
            case 2:
                del inside[key]
            case 3 if isinstance(inside, dict):
                inside[draw(st.text())] = inside[key]
            case _ if isinstance(inside, list):
                inside.append(inside[key])
            case _:
                inside[key] = [inside[key]]
    return tree


def _collect(value: Any, places: list[tuple[Any, Any]]) -> None:
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in keys:
        places.append((value, key))
        _collect(value[key], places)


def _change_table(draw: Any, st: Any, content: bytes) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(content))
    for _ in range(draw(st.integers(1, 3))):
        if not table.num_columns:
            break
        place = draw(st.integers(0, table.num_columns - 1))
        name = table.column_names[place]
        if draw(st.integers(0, 5)) == 0:
            table = table.remove_column(place)
            continue
        cell = st.one_of(
            st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.binary(),
            st.text(), st.just([1, 2]), st.just({"a": 1}), st.just("../../x"), st.datetimes(),
        )  # fmt: skip
        if draw(st.booleans()):
            values: list[Any] = [draw(cell)] * len(table)
        else:
            values = table.column(place).to_pylist()
            if values:
                values[draw(st.integers(0, len(values) - 1))] = draw(cell)
        try:
            column = pa.array(values)
        except (pa.ArrowException, UnicodeError, OverflowError):
            continue
        if draw(st.integers(0, 9)) == 0:
            name = draw(st.sampled_from(table.column_names))
        table = table.set_column(place, name, column)
    stream = io.BytesIO()
    try:
        pq.write_table(table, stream, compression=draw(st.sampled_from(["none", "zstd", "snappy"])))
    except (pa.ArrowException, UnicodeError):
        return content
    return stream.getvalue()


_LENGTHS = (1, 2, 4, 8)


def _change_bytes(
    draw: Any, st: Any, content: bytes, seeds: Sequence[bytes], tokens: Sequence[bytes]
) -> bytes:
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(content)))
        length = draw(st.integers(1, 40))
        match draw(st.integers(0, 7)):
            case 0:
                new, cut = draw(st.binary(max_size=8)), 0
            case 1:
                new, cut = b"", length
            case 2:
                new, cut = content[at : at + length] * 2, length
            case 3:
                new, cut = content[draw(st.integers(0, len(content))) :][:length], 0
            case 4:
                other = draw(st.sampled_from(seeds))
                new, cut = other[draw(st.integers(0, len(other))) :][:length], length
            case 5:
                size = draw(st.sampled_from(_LENGTHS))
                number = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF, 2**31 - 1, 2**63 - 1, -1]))
                order: Any = draw(st.sampled_from(["little", "big"]))
                new = (number % 2 ** (8 * size)).to_bytes(size, order)
                cut = size
            case 6:
                new, cut = b"", len(content)
            case _:
                new, cut = (
                    draw(st.sampled_from(tokens)) if tokens else bytes(1),
                    draw(st.integers(0, 4)),
                )
        content = content[:at] + new + content[at + cut :]
    return content


def by_hypothesis(target: Target, read: Callable[[bytes], None], seed: int, inputs: int,
                  seconds: float) -> None:  # fmt: skip
    """Give `inputs` to `read`, or as many as `seconds` allow."""
    import hypothesis

    end = time.monotonic() + seconds
    settings = hypothesis.settings(
        max_examples=inputs,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )

    class Enough(BaseException):
        pass

    @hypothesis.seed(seed)
    @settings
    @hypothesis.given(changed(target))
    def give(content: bytes) -> None:
        if time.monotonic() > end:
            raise Enough
        read(content)

    with contextlib.suppress(Enough):
        give()


# --- atheris --------------------------------------------------------------------------------------


def by_atheris(target: Target, read: Callable[[bytes], None], seed: int, inputs: int,
               seconds: float, state: Path) -> None:  # fmt: skip
    """The same by libFuzzer, which ends the process."""
    import atheris

    corpus = state / "corpus" / target.name
    corpus.mkdir(parents=True, exist_ok=True)
    for content in target.seeds():
        (corpus / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)
    words = state / "corpus" / f"{target.name}.dict"
    lines = ('"' + "".join(f"\\x{byte:02x}" for byte in token) + '"\n' for token in target.tokens)
    words.write_text("".join(lines))

    def once(content: bytes) -> None:
        read(target.repair(content) if target.repair and len(content) % 2 else content)

    arguments = [
        sys.argv[0], str(corpus), f"-runs={inputs}", f"-max_total_time={seconds:.0f}",
        f"-seed={seed}", f"-timeout={WALL_SECONDS}", "-rss_limit_mb=0", "-max_len=8192",
        "-print_final_stats=1", f"-artifact_prefix={state}/findings/",
    ]  # fmt: skip
    if target.tokens:
        arguments.append(f"-dict={words}")
    atheris.Setup(arguments, once)
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("target", choices=[target.name for target in TARGETS])
    parser.add_argument("driver", choices=["hypothesis", "atheris"])
    parser.add_argument("seed", type=int)
    parser.add_argument("inputs", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("state", type=Path)
    given = parser.parse_args()
    target = next(target for target in TARGETS if target.name == given.target)
    warnings.simplefilter("ignore")
    memory = Path("/dev/shm")  # noqa: S108 files in memory, removed with their folder
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        if given.driver == "atheris":
            import atheris

            with atheris.instrument_imports(include=[*OURS, "yaml"]):
                parse, errors = target.make(Path(folder))
                warm(target, parse, errors)
        else:
            parse, errors = target.make(Path(folder))
            warm(target, parse, errors)
        limit_memory(2 * target.memory)
        record = Recorder(given.state, given.driver, Judge(target, parse, errors))
        if given.driver == "atheris":
            by_atheris(target, record, given.seed, given.inputs, given.seconds, given.state)
        else:
            by_hypothesis(target, record, given.seed, given.inputs, given.seconds)


def warm(target: Target, parse: Parse, errors: Errors) -> None:
    """Read the valid inputs once, so that what is imported late counts for none of them."""
    for content in target.seeds():
        try:
            parse(content)
        except errors:
            continue


if __name__ == "__main__":
    main()
