"""What the tests of several packages share.

`make test` leaves out what is marked `slow`, `make test-all` does not. Of one file:
`.venv/bin/python -m pytest -m "not slow" FILE`.
"""

import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


@dataclass(frozen=True)
class Bucket:
    """s3://steel on a local server, as boto3 sees it: the oracle of what commands do there."""

    client: Any

    def put(self, folder: Path, key: str) -> None:
        for path in folder.rglob("*"):
            if path.is_file():
                name = f"{key}/{path.relative_to(folder).as_posix()}"
                self.client.put_object(Bucket="steel", Key=name, Body=path.read_bytes())

    def read(self, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket="steel", Key=key)["Body"].read())

    def sha256(self, prefix: str) -> dict[str, str]:
        """Key to the SHA-256 of each object whose key begins so."""
        return {
            key: hashlib.sha256(self.read(prefix + key)).hexdigest() for key in self.keys(prefix)
        }

    def keys(self, prefix: str = "") -> dict[str, str]:
        """Key to the time and ETag of each object whose key begins so."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket="steel", Prefix=prefix)
        return {
            one["Key"].removeprefix(prefix): f"{one['LastModified']} {one['ETag']}"
            for page in pages
            for one in page.get("Contents", [])
        }


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of a local S3 server."""
    server = pytest.importorskip("moto.server")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = server.ThreadedMotoServer("127.0.0.1", 0)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bucket]:
    """An empty bucket, and the environment in which commands find it."""
    fsspec = pytest.importorskip("fsspec")
    boto3 = pytest.importorskip("boto3")
    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "STEEL_CACHE": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    fsspec.filesystem("s3").clear_instance_cache()
    client = boto3.client("s3")
    client.create_bucket(Bucket="steel")
    made = Bucket(client)
    yield made
    for key in made.keys():  # noqa: SIM118 no dict
        client.delete_object(Bucket="steel", Key=key)
    client.delete_bucket(Bucket="steel")
    client.close()
