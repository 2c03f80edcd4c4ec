"""What the tests of several packages share.

`make test` leaves out what is marked `slow`, `make test-all` does not. Of one file:
`.venv/bin/python -m pytest -m "not slow" FILE`.
"""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# On a busy machine a quick example takes long: no test of a property fails by the clock.
settings.register_profile("steel", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steel")

# Tests run in parallel processes; one thread each keeps them out of each other's way. PyTorch, once
# it is loaded, and the programs that tests start read this.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is marked to take minutes begins first: else one process waits for the other's last."""

    def minutes(item: pytest.Item) -> float:
        mark = item.get_closest_marker("slow")
        return mark.kwargs.get("minutes", 0) if mark else 0

    items.sort(key=minutes, reverse=True)


@pytest.fixture(scope="session")
def steel_data() -> Path:
    """The folder of real data; a test that needs it is skipped without it."""
    folder = os.environ.get("STEEL_DATA")
    if not folder:
        pytest.skip("set STEEL_DATA to the folder of real strips to run this test")
    path = Path(folder).resolve()
    if not (path / "severstal_sample" / "train.csv").is_file():
        pytest.fail(f"STEEL_DATA={folder} holds no severstal_sample/train.csv")
    return path
