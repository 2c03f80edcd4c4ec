from dataclasses import replace
from pathlib import Path

import pytest
import torch

from severstal_prep.dataset import CLASS_NAMES
from sise.architectures import build_network
from training.blueprint import Blueprint
from training.checkpoint import read_checkpoint
from training.errors import CheckpointError

NET = "shufflenet_v2_x0_5"
PLAN = Blueprint(NET, CLASS_NAMES, (64, 64), (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), {"split": "paper"})


def write(path: Path, plan: Blueprint = PLAN, classes: int = 5, **changes) -> Path:
    torch.manual_seed(0)
    network = build_network(NET, classes)
    state = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    checkpoint = {"state_dict": state, "epoch": 6}
    plan.write_to(checkpoint)
    torch.save(checkpoint | changes, path)
    return path


def test_round_trip(tmp_path: Path) -> None:
    found = read_checkpoint(write(tmp_path / "a.ckpt"))
    assert found.blueprint == PLAN
    assert found.epoch == 7, "epochs are counted from 1 by people"
    torch.manual_seed(0)
    expected = build_network(NET, 5).eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(found.network(images), expected(images))
    assert not found.network.training


def test_classes_of_ones_own(tmp_path: Path) -> None:
    other = replace(PLAN, classes=("good", "bad"))
    found = read_checkpoint(write(tmp_path / "a.ckpt", other, classes=2))
    assert found.blueprint.classes == ("good", "bad")
    assert found.network(torch.zeros(1, 3, 64, 64)).shape == (1, 2)


@pytest.mark.parametrize("content", [{"epoch": 1, "state_dict": {}}, [1, 2]])
def test_foreign_checkpoint(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match="not a checkpoint of defect-train fit"):
        read_checkpoint(tmp_path / "a.ckpt")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"input_size": (64, "x")}, "input_size 2: .* not 'x'"),
        ({"mean": (0.1, float("nan"), 0.3)}, "mean 2"),
        ({"classes": 5}, "classes"),
    ],
)
def test_an_entry_at_fault_is_named(tmp_path: Path, change: dict, complaint: str) -> None:
    with pytest.raises(CheckpointError, match=rf"a\.ckpt: {complaint}.*take another checkpoint"):
        read_checkpoint(write(tmp_path / "a.ckpt", replace(PLAN, **change)))


def test_missing_and_damaged(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no such checkpoint"):
        read_checkpoint(tmp_path / "a.ckpt")
    whole = write(tmp_path / "a.ckpt").read_bytes()
    (tmp_path / "a.ckpt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"a\.ckpt: damaged, or no checkpoint"):
        read_checkpoint(tmp_path / "a.ckpt")


def test_weights_of_another_shape(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="the weights do not fit shufflenet_v2_x0_5"):
        read_checkpoint(write(tmp_path / "a.ckpt", classes=3))


class Evil:
    def __reduce__(self):
        return (print, ("code of the checkpoint was run",))


def test_pickled_code_is_not_run(tmp_path: Path, capsys) -> None:
    with pytest.raises(CheckpointError, match="damaged, or no checkpoint"):
        read_checkpoint(write(tmp_path / "a.ckpt", extra=Evil()))
    assert capsys.readouterr().out == ""
