"""Work on many strips at once, in processes that never outlive the command."""

import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Generic, TypeVar

from severstal_prep.errors import PrepError

Task = TypeVar("Task")
Result = TypeVar("Result")
Read = TypeVar("Read")
Done = TypeVar("Done")

TASKS_PER_WORKER = 32
"""A process takes about as long to start as so many strips take to be recast."""
CHUNK = 8


@dataclass(frozen=True)
class Finished(Generic[Result]):
    """A result that needs no work any more."""

    result: Result


@dataclass(frozen=True)
class Steps(Generic[Task, Read, Done, Result]):
    """A function of a task, in three steps: only `read` and `keep` touch files.

    So `work` can be done by a machine that sees none of them (`ray_engine`). What the steps are
    given and give can be pickled.
    """

    read: Callable[[Task], Read | Finished[Result]]
    work: Callable[[Read], Done]
    keep: Callable[[Task, Done], Result]

    def __call__(self, task: Task) -> Result:
        """All three in a row."""
        read = self.read(task)
        if isinstance(read, Finished):
            return read.result
        return self.keep(task, self.work(read))


def run(
    function: Callable[[Task], Result], tasks: Sequence[Task], jobs: int
) -> Generator[Result, None, None]:
    """Yield `function(task)` for all tasks in their order, computed in up to `jobs` processes.

    Small work stays in this process. Closing the generator drops the tasks not yet begun.
    Raises PrepError if a process is killed from outside.
    """
    processes = min(jobs, math.ceil(len(tasks) / TASKS_PER_WORKER))
    if processes <= 1:
        yield from map(function, tasks)
        return
    # Not forked: the progress bar has a thread, and a fork copies its locks as they stand.
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(processes, context, initializer=_start_worker)
    try:
        with _sigint_ignored():
            results = executor.map(function, tasks, chunksize=CHUNK)
        yield from results
    except BrokenProcessPool as error:
        raise PrepError(
            "a worker process was killed, perhaps for memory; "
            "run the same command again with fewer --jobs to continue"
        ) from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _sigint_ignored() -> Iterator[None]:
    """Keep Ctrl-C from a pool that is half started, where it would hang.

    Processes started meanwhile inherit that they ignore it: it reaches the whole group, but
    is the parent's to handle.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _start_worker() -> None:
    import cv2

    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it was not inherited, as on Windows
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
