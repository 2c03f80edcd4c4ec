"""Ray clusters of several machines on this one: each machine is processes of its own."""

import gc
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest

STORE = 80 * 2**20
"""Bytes of each machine's object store; Ray takes no less than 75 MiB."""

LEFT_OPEN = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
"""For tests with a cluster: Ray leaves its own log files open."""

ALONE = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",  # Ray would keep a token in the user's folder
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else Ray warns of what it will do one day
}


class Machines:
    """A cluster. Its head has no processor, so that all work is done by another machine."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster = Cluster()
        head = self.add(num_cpus=0, include_dashboard=False)
        self.address: str = self._cluster.address
        self.session: str = head.get_session_dir_path()

    def add(self, **options: Any) -> Any:
        """A new machine, of one processor."""
        return self._cluster.add_node(**{"num_cpus": 1, "object_store_memory": STORE} | options)

    def remove(self, machine: Any) -> None:
        """End a machine with all that it has, as if its plug were pulled."""
        self._cluster.remove_node(machine, allow_graceful=False)

    def end(self) -> None:
        """End all machines."""
        self._cluster.shutdown()
        shutil.rmtree(self.session, ignore_errors=True)


@contextmanager
def machines(workers: int) -> Iterator[Machines]:
    """A cluster of a head and so many workers, this process connected to it."""
    import ray

    # Machines find what tests send by the same paths.
    with mock.patch.dict(os.environ, ALONE | {"PYTHONPATH": os.pathsep.join(sys.path)}):
        cluster = Machines()
        try:
            ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
            for _ in range(workers):
                cluster.add()
            yield cluster
        finally:
            ray.shutdown()
            cluster.end()
            gc.collect()  # what Ray left open is noticed now, not in another's test
