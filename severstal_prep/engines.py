"""Who does the work of a command: processes of this machine, or the machines of a cluster."""

import os
from collections.abc import Generator, Sequence

from severstal_prep import workers
from severstal_prep.workers import Done, Read, Result, Steps, Task


def cluster_address(chosen: str | None) -> str:
    """The address of a Ray cluster: as chosen, or of the environment, or "local" to start one."""
    return chosen or os.environ.get("RAY_ADDRESS") or "local"


def run_steps(
    steps: Steps[Task, Read, Done, Result], tasks: Sequence[Task], jobs: int, ray: str | None
) -> Generator[Result, None, None]:
    """Yield the results of all tasks in their order: of processes here, or of a Ray cluster.

    `ray` is the cluster's address, "local" for one of `jobs` processors that is started here and
    ends with the work, None for processes without Ray.
    """
    if ray is None:
        return workers.run(steps, tasks, jobs)
    from severstal_prep.ray_engine import run_on_cluster

    return run_on_cluster(steps, tasks, ray, jobs)
