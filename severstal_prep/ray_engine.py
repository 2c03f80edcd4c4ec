"""Work on many strips at once by the machines of a Ray cluster, which see no file of them.

Bytes go there and come back; this process alone reads and writes files. A piece of work that is
lost with its process or its machine is done again elsewhere.
"""

import os
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from itertools import islice
from typing import Any

from severstal_prep.dataset import library_versions
from severstal_prep.errors import OptionError, PrepError
from severstal_prep.workers import CHUNK, Done, Finished, Read, Result, Steps, Task

HERE = "local"
"""The address of a cluster that is started here, and ends with the work."""
RETRIES = 10
"""How often a piece is done again whose process or machine died; then it is what kills them."""
AHEAD = 3
"""Pieces under way for each processor: one in work, the others on their way to it and back."""
_SECONDS_BETWEEN_COUNTS = 2.0


def run_on_cluster(
    steps: Steps[Task, Read, Done, Result], tasks: Sequence[Task], address: str, cpus: int
) -> Generator[Result, None, None]:
    """Yield the results of all tasks in their order; the cluster does the `work` of each.

    Of pieces of CHUNK tasks, AHEAD for each of its processors are under way, so memory does not
    grow with the tasks. Raises OptionError if no cluster answers at `address`, and PrepError if
    its machines have other versions of what decides a pixel than this one, or die of a piece.
    """
    with cluster(address, cpus) as ray:
        work = ray.remote(num_cpus=1, max_retries=RETRIES)(_work)
        processors = counter(ray, "CPU")
        versions = library_versions()
        under_way = deque[Generator[Result, None, None]]()
        left = iter(tasks)
        while chunk := list(islice(left, CHUNK)):
            under_way.append(_piece(ray, work, steps, chunk, versions))
            while len(under_way) >= AHEAD * processors():
                yield from under_way.popleft()
        while under_way:
            yield from under_way.popleft()


def _piece(
    ray: Any,
    work: Any,
    steps: Steps[Task, Read, Done, Result],
    tasks: Sequence[Task],
    versions: Mapping[str, str],
) -> Generator[Result, None, None]:
    """Send what is to be worked on, now; the results when they are asked for."""
    read = [steps.read(task) for task in tasks]
    sent = [one for one in read if not isinstance(one, Finished)]
    reference = work.remote(steps.work, sent, versions) if sent else None

    def results() -> Generator[Result, None, None]:
        done = iter([] if reference is None else answer(ray, reference))
        for task, one in zip(tasks, read, strict=True):
            yield one.result if isinstance(one, Finished) else steps.keep(task, next(done))

    return results()


def _work(
    work: Callable[[Read], Done], read: Sequence[Read], versions: dict[str, str]
) -> list[Done]:
    """On a machine of the cluster: do the work, if it would be the same as that of the sender."""
    import cv2

    check_versions(versions)
    cv2.setNumThreads(1)
    return [work(one) for one in read]


def check_versions(versions: Mapping[str, str]) -> None:
    """On a machine of the cluster: raise PrepError unless it has these versions of packages.

    What is built for other hardware ("2.15.0+cpu") is the same version.
    """
    for name, wanted in versions.items():
        there = metadata.version(name)
        if there.partition("+")[0] != wanted.partition("+")[0]:
            raise PrepError(
                f"a machine of the cluster has {name} {there}, this one {wanted}; results may "
                "differ: install the same on all of them"
            )


@contextmanager
def cluster(address: str, cpus: int) -> Iterator[Any]:
    """The module `ray`, connected to the cluster at `address`, for the time of the block.

    HERE starts one of `cpus` processors. What this process is connected to already is used, and
    left connected. Raises OptionError if Ray is not installed or no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else Ray reports to its makers
    try:
        import ray
    except ImportError as error:
        raise OptionError('--engine ray needs ray: pip install "steel-sise[ray]"') from error
    if ray.is_initialized():
        yield ray
        return
    try:
        _connect(ray, address, cpus)
        yield ray
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str, cpus: int) -> None:
    started = {"num_cpus": cpus, "include_dashboard": False} if address == HERE else {}
    handler = signal.getsignal(signal.SIGTERM)
    try:
        if ":" in address and "://" not in address:
            host, _, port = address.rpartition(":")
            # Ray itself would try for minutes.
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
        ray.init(address, log_to_driver=False, logging_level="ERROR", **started)
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        if address == HERE:
            reason = str(error).strip().partition("\n")[0]
            raise OptionError(
                f"Ray does not start here: {reason}; take --engine local, or name a cluster"
            ) from error
        raise OptionError(
            f"--ray-address {address}: no Ray cluster answers there; start one there "
            "(ray start --head), or leave the option out to start one here"
        ) from error
    finally:
        # Ray's own would end the process without our line and with another code.
        if signal.getsignal(signal.SIGTERM) is not handler:
            signal.signal(signal.SIGTERM, handler)


def counter(ray: Any, resource: str) -> Callable[[], int]:
    """How many of a resource ("CPU", "GPU") a cluster has, 1 at least, as machines come and go."""
    count, asked = 1, float("-inf")

    def counted() -> int:
        nonlocal count, asked
        if time.monotonic() - asked > _SECONDS_BETWEEN_COUNTS:
            count = max(1, int(ray.cluster_resources().get(resource, 1)))
            asked = time.monotonic()
        return count

    return counted


def answer(ray: Any, reference: Any) -> Any:
    """What a task gives. Raises its PrepError, or one that says why the cluster gives nothing."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, PrepError):
            raise error.cause from None
        if "ModuleNotFoundError" in str(error):
            raise PrepError(
                "a machine of the cluster lacks steel-sise or a package of it; install "
                "the same on all of them"
            ) from error
        raise
    except ray.exceptions.RayError as error:
        reason = str(error).strip().partition("\n")[0]
        raise PrepError(
            f"the cluster gave up a piece of work ({type(error).__name__}: {reason}); look at its "
            "logs, and run the same command again to continue"
        ) from error
