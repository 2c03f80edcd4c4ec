"""sise where bundle, images and results are in a bucket."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sise import bundle as bundles
from sise.bundle import ModelCard
from sise.cli import main


@pytest.fixture
def plant(bucket: Any, tmp_path: Path) -> Any:
    """The bucket, with a bundle and an image."""
    torch.manual_seed(0)
    network = bundles.build_network("squeezenet1_1", 2)
    card = ModelCard("squeezenet1_1", ("normal", "class 1"), (64, 64), (0.5,) * 3, (0.5,) * 3)
    bundles.save(tmp_path / "bundle", card, network)
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    (tmp_path / "strips").mkdir()
    Image.fromarray(pixels).save(tmp_path / "strips" / "a.png")
    bucket.put(tmp_path / "bundle", "bundle")
    bucket.put(tmp_path / "strips", "strips")
    return bucket


def test_explain(plant: Any, tmp_path: Path, capsys: Any) -> None:
    bundle, image, out = "s3://steel/bundle", "s3://steel/strips/a.png", "s3://steel/maps"
    command = ("explain", "--bundle", bundle, "--image", image, "--mu", "0.5")
    assert main([*command, "--out", out]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{image}: ")
    assert printed.out.endswith(f"maps and overlays are in {out}\n")
    assert str(tmp_path) not in printed.out + printed.err
    here = ("--bundle", tmp_path / "bundle", "--image", tmp_path / "strips" / "a.png")
    assert main([*command, *map(str, here), "--out", str(tmp_path / "maps")]) == 0
    names = {"a.json", "a_map.npy", "a_map.png", "a_overlay.png"}
    assert {path.name: path.read_bytes() for path in (tmp_path / "maps").iterdir()} == {
        name: plant.read(f"maps/{name}") for name in names
    }
    keys = plant.keys("maps/")
    capsys.readouterr()
    assert main([*command, "--out", out]) == 0
    assert "up to date" in capsys.readouterr().out
    assert plant.keys("maps/") == keys


def test_errors_name_the_address(plant: Any, capsys: Any) -> None:
    plant.client.put_object(Bucket="steel", Key="bundle/model.json", Body=b"{}")
    place = ("--bundle", "s3://steel/bundle", "--image", "s3://steel/strips/a.png")
    assert main(["explain", *place, "--out", "s3://steel/maps"]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("sise explain: s3://steel/bundle/model.json: ")
    plant.client.put_object(Bucket="steel", Key="maps/a.json", Body=json.dumps({}).encode())
    assert plant.keys("maps/").keys() == {"a.json"}
