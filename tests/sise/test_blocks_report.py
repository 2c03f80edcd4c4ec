import json
from pathlib import Path

import pytest
import torch

from sise import bundle as bundles
from sise.bundle import ModelCard
from sise.cli import main


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = bundles.build_network("squeezenet1_1", 2)
    card = ModelCard("squeezenet1_1", ("normal", "class 1"), (64, 96), (0.5,) * 3, (0.5,) * 3)
    folder = tmp_path / "тест dir"
    bundles.save(folder, card, network)
    return folder


def printed(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["blocks", *options]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_a_bundles_blocks_at_its_own_size(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [line.split() for line in printed(capsys, "--bundle", str(bundle)).splitlines()] == [
        ["block", "shape", "(N,", "h,", "w)", "stride", "maps"],
        ["network.features.1", "64×31×47", "2.1×2", "64"],
        ["network.features.4", "128×15×23", "4.3×4.2", "128"],
        ["network.features.7", "256×7×11", "9.1×8.7", "256"],
        ["network.features", "512×3×5", "21.3×19.2", "512"],
        ["960", "maps,", "each", "one", "forward", "pass", "at", "most"],
    ]


def test_json_of_an_architecture_at_a_size(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, "--architecture", "resnet18", "--size", "16", "32", "--json")
    assert json.loads(out) == {
        "blocks": [
            {"name": "relu", "maps": 64, "height": 8, "width": 16, "stride": [2.0, 2.0]},
            {"name": "layer1", "maps": 64, "height": 4, "width": 8, "stride": [4.0, 4.0]},
            {"name": "layer2", "maps": 128, "height": 2, "width": 4, "stride": [8.0, 8.0]},
            {"name": "layer3", "maps": 256, "height": 1, "width": 2, "stride": [16.0, 16.0]},
        ],
        "maps": 512,
    }


def test_an_architecture_is_seen_at_256_if_no_size_is_given(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = printed(capsys, "--architecture", "resnet18").splitlines()
    assert lines[1].split() == ["relu", "64×128×128", "2", "64"]
    assert lines[-1] == "1024 maps, each one forward pass at most"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ((), "give either --bundle or --architecture"),
        (("--bundle", "b", "--architecture", "resnet18"), "give either --bundle or --architec"),
        (("--bundle", "nowhere"), "nowhere: no model bundle here"),
        (("--architecture", "resnet"), "torchvision has no classifier named 'resnet'"),
        (("--architecture", "vit_b_32", "--size", "224", "224"), "is not a CNN"),
        (("--architecture", "resnet18", "--size", "2", "2"), "images of 2×2 are too small"),
    ],
)
def test_what_cannot_be_printed_is_one_line_and_exit_code_2(
    options: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["blocks", *options]) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("sise blocks: ")
    assert complaint in line
    assert captured.out == ""


@pytest.mark.parametrize("size", [("16",), ("16", "0"), ("16", "16", "16")])
def test_a_size_is_two_positive_numbers(size: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["blocks", "--architecture", "resnet18", "--size", *size])
    assert stopped.value.code == 2
