"""A batch inspected by the machines of a Ray cluster: the report of one process, whatever dies."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from ray_clusters import LEFT_OPEN, Machines, machines
from test_engines import classify, explain, report_bytes, same

from inspection.errors import EngineError
from inspection.pipeline import ray_engine
from inspection.pipeline.engines import Classify, Done, WorkerOptions, make_worker
from inspection.pipeline.ray_engine import LOST, UNDER_WAY, RayEngine, Sent
from inspection.pipeline.run import inspect
from inspection.pipeline.settings import EngineName, Settings
from severstal_prep.errors import PrepError

pytestmark = LEFT_OPEN

INTERRUPTED = "defect-inspect: interrupted; run the same command again to continue"

# First without machines.


class LostError(Exception):
    """As RayError: the process or its machine died."""


@dataclass
class TaskFailedError(LostError):
    """As RayTaskError: the work raised something."""

    cause: Exception


@dataclass(eq=False)
class FakeActor:
    actor: Any
    dead: bool = False

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=lambda *given: Answer(self, name, given))


@dataclass(eq=False)
class Answer:
    actor: FakeActor
    name: str
    given: tuple[Any, ...]


@dataclass
class FakeRay:
    """What `RayEngine` uses of Ray, in this process. The actors die that answer the works `deadly`
    says of."""

    deadly: Callable[[Sent], bool] = lambda sent: False
    cpus: int = 2
    made: list[FakeActor] = field(default_factory=list)
    exceptions = SimpleNamespace(RayError=LostError, RayTaskError=TaskFailedError)

    def is_initialized(self) -> bool:
        return True

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": self.cpus}

    def put(self, value: object) -> object:
        return value

    def kill(self, actor: FakeActor) -> None:
        actor.dead = True

    def remote(self, **options: object) -> Any:
        def of(kind: type) -> Any:
            def make(*given: object) -> FakeActor:
                self.made.append(FakeActor(kind(*given)))
                return self.made[-1]

            return SimpleNamespace(remote=make)

        return of

    def wait(self, answers: list[Answer], timeout: float) -> tuple[list[Answer], list[Answer]]:
        return answers[-1:], answers[:-1]

    def get(self, answer: Answer) -> Any:
        sent = answer.given[0] if answer.name == "work" else None
        answer.actor.dead |= sent is not None and self.deadly(sent)
        if answer.actor.dead:
            raise LostError
        try:
            given = pickle.loads(pickle.dumps(answer.given))  # noqa: S301 our own
            return getattr(answer.actor.actor, answer.name)(*given)
        except Exception as error:
            raise TaskFailedError(error) from error


class Echo(ray_engine.Actor):
    """Says what it was sent."""

    def load(self, bundle: Any, versions: Any) -> None:
        assert bundle.keys() == {"model.json", "weights.safetensors"}

    def work(self, sent: Sent) -> Done:
        said = {
            strip.file.strip_id: content.reason if not isinstance(content, bytes) else ""
            for strip, content in zip(sent.unit.strips, sent.strips, strict=True)
        }
        return Done(sent.unit, pd.DataFrame(), {}, said, 0.0)


def engine_of(
    ray: FakeRay, options: WorkerOptions, monkeypatch: pytest.MonkeyPatch, actor: type = Echo
) -> RayEngine:
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(ray_engine, "Actor", actor)
    return RayEngine(options, "a:1", 1)


def names(done: list[Done]) -> list[str]:
    return sorted(one.unit.strips[0].file.strip_id for one in done)


def test_each_unit_is_done_once_though_actors_die(
    batch: Path, options: WorkerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = FakeRay(lambda sent: sent.lost < 2 and sent.unit.strips[0].file.strip_id == "1.png")
    done = list(engine_of(ray, options, monkeypatch)(classify(batch)))
    assert names(done) == ["0.png", "1.png", "2.png", "void.jpg"]
    assert len(ray.made) == 2 + 2  # two of them died


def test_a_strip_that_kills_every_actor_is_named(
    batch: Path, options: WorkerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = FakeRay(lambda sent: sent.unit.strips[0].file.strip_id == "1.png")
    (unit,) = classify(batch)[1:2]
    with pytest.raises(EngineError, match=rf"^1\.png: {LOST + 1} processes of the cluster died"):
        list(engine_of(ray, options, monkeypatch)([unit]))
    assert len(ray.made) == 2 + LOST


def test_units_are_taken_as_they_are_needed(
    batch: Path, options: WorkerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = list[Classify]()

    def units() -> Iterator[Classify]:
        for unit in classify(batch) * 10:
            taken.append(unit)
            yield unit

    engine = engine_of(FakeRay(), options, monkeypatch)
    for given, _ in enumerate(engine(units())):
        assert len(taken) <= given + UNDER_WAY * 2
    assert len(taken) == 40


def test_it_says_that_it_waits_for_a_machine(
    batch: Path,
    options: WorkerOptions,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(ray_engine, "_SECONDS_TO_SAY", -1.0)
    ray = FakeRay()
    answers, ticks = ray.wait, iter(range(99))
    monkeypatch.setattr(
        ray, "wait", lambda some, timeout: answers(some, timeout) if next(ticks) > 2 else ([], some)
    )
    assert len(list(engine_of(ray, options, monkeypatch)(classify(batch)))) == 4
    said = capsys.readouterr().err
    assert said.count("waiting for a machine with room") == 4  # the last before a model is loaded


def test_nothing_to_do_needs_no_cluster(
    options: WorkerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert list(RayEngine(options, "a:1", 1)([])) == []


def test_what_a_unit_or_the_model_raises_is_raised_here(
    batch: Path, options: WorkerOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unable(Echo):
        def load(self, bundle: Any, versions: Any) -> None:
            raise PrepError("a machine of the cluster has numpy 1")

    with pytest.raises(PrepError, match=r"has numpy 1$"):
        list(engine_of(FakeRay(), options, monkeypatch, Unable)(classify(batch)))


# From here on: machines.


@pytest.fixture(scope="module")
def cluster() -> Iterator[Machines]:
    with machines(2) as started:
        yield started


class DiesOnce(ray_engine.Actor):
    """Ends its process the first time that any of its kind is sent the strip 1.png."""

    def work(self, sent: Sent) -> Done:
        for strip in sent.unit.strips:
            mark = strip.file.path.parents[1] / "died"
            if strip.file.strip_id == "1.png" and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return super().work(sent)


@pytest.mark.slow
def test_machines_that_come_and_go_change_no_unit(
    cluster: Machines, batch: Path, options: WorkerOptions
) -> None:
    units = [*classify(batch) * 10, explain(batch)]
    worker = make_worker(replace(options, threads=1))
    expected = {id(unit): worker(unit) for unit in units[-5:]}
    by_name = {names([one])[0]: one for one in list(expected.values())[:4]}
    third, done = cluster.add(), list[Done]()
    with closing(RayEngine(options, cluster.address, 1)) as engine:
        for one in engine(units):
            done.append(one)
            if len(done) == 8:
                cluster.remove(third)
            if len(done) == 16:
                cluster.add()
    assert len(done) == len(units)
    for one in done:
        wanted = by_name[names([one])[0]]
        same(one, wanted if isinstance(one.unit, Classify) else expected[id(units[-1])])


def interrupted(command: list[str], out: Path) -> tuple[int, str]:
    """Exit code and words of a command that gets Ctrl-C once it has stored something."""
    process = subprocess.Popen(
        [sys.executable, "-m", "inspection", *command],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # The tests may run where SIGINT is ignored (nohup).
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not list(out.glob("work/**/*.parquet")) and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes
    _, words = process.communicate()
    return process.returncode, words


@pytest.mark.slow(minutes=2)
def test_a_report_that_was_interrupted_and_whose_worker_was_killed_is_that_of_one_process(
    cluster: Machines,
    bundle: Path,
    batch: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def settings(engine: EngineName) -> Settings:
        return Settings(
            bundle=bundle, batch=batch, out=tmp_path / engine, budget=20, precision="fp32",
            device="cpu", backend="torch", batch_size=4, explain="all", engine=engine,
            ray_address=cluster.address if engine == "ray" else None,
        )  # fmt: skip

    asked = settings("ray")
    code, words = interrupted(
        ["run", *(f"--{name.replace('_', '-')}={getattr(asked, name)}"
                  for name in ("bundle", "batch", "out", "budget", "precision", "device", "backend",
                               "batch_size", "explain", "engine", "ray_address"))],
        asked.out,
    )  # fmt: skip
    assert (code, words.splitlines()[-1]) == (130, INTERRUPTED)
    monkeypatch.setattr(ray_engine, "Actor", DiesOnce)
    counts = inspect(asked).record["counts"]
    assert (tmp_path / "died").exists()
    assert (counts["explained"], counts["unreadable"]) == (6, 1)
    inspect(settings("local"))
    local, ray = report_bytes(tmp_path / "local"), report_bytes(tmp_path / "ray")
    assert local.keys() == ray.keys()
    assert [name for name in local if local[name] != ray[name]] == []
