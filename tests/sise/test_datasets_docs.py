"""The example in docs/datasets.md works."""

import re
from pathlib import Path

import pytest
import torch
import torchvision

from sise import bundle
from sise.datasets.opening import SIGNS
from sise.datasets.voc import CLASSES, Voc
from sise.evaluation.subject import check_classes

PAGE = Path(__file__).parents[2] / "docs" / "datasets.md"


def test_a_model_of_ones_own_becomes_a_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    network = torchvision.models.get_model("resnet18", num_classes=20).eval()
    torch.save(network.state_dict(), "weights.pt")
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    exec(example, {})  # noqa: S102
    made = bundle.load(tmp_path / "bundle")
    assert made.card.classes == CLASSES
    check_classes(made, Voc(tmp_path))
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(made.model(images), network(images))


def test_the_page_names_what_layouts_are_known_by() -> None:
    table = PAGE.read_text("utf-8")
    for layout, sign in SIGNS.items():
        assert f"| `{layout}` | `{sign}` |" in table
