"""A classifier whose answers are known by hand, an explainer that does not compute, and strips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from inspection.pipeline.classifier import Classifier
from severstal_prep.images import write_png
from sise.architectures import build_network
from sise.backends import Network
from sise.bundle import ModelBundle, ModelCard
from sise.explanation import Explanation
from sise.precision import forward_in

CLASSES = ("normal", "class 1", "class 2", "class 3", "class 4")
GREY, BRIGHT, BLACK = 128, 255, 0
needs_openvino = pytest.mark.skipif(
    not find_spec("openvino"), reason="OpenVINO, an extra, is not installed"
)


class BrightAndBlack(nn.Module):
    """Logits (B, 5): 2 for normal, 40 times the share of bright pixels for class 1, 40 times
    the share of black ones for class 2, 0 for the rest."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        grey = images.mean(dim=1)
        logits = images.new_zeros(len(images), len(CLASSES))
        logits[:, 0] = 2
        logits[:, 1] = 40 * (grey > 0.9).float().mean(dim=(1, 2))
        logits[:, 2] = 40 * (grey < 0.1).float().mean(dim=(1, 2))
        return logits


def toy_classifier(
    sha256: str = "ab" * 32, batch_size: int = 8, metrics: Mapping[str, Any] | None = None
) -> Classifier:
    card = ModelCard(
        architecture="toy",
        classes=CLASSES,
        input_size=(256, 256),
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        weights_sha256="cd" * 32,
        metrics=metrics or {},
    )
    model = BrightAndBlack()
    return Classifier(
        bundle=ModelBundle(card, model, sha256),
        device=torch.device("cpu"),
        precision="fp32",
        batch_size=batch_size,
        backend="torch",
        network=Network(forward_in(model, torch.float32), torch.float32, static=False),
    )


@dataclass
class FakeExplainer:
    """Returns as map where the image is not grey. `stop_at` raises Ctrl-C at that call (from 1);
    `statuses` gives a status per target class."""

    stop_at: int | None = None
    statuses: dict[int, str] = field(default_factory=dict)
    targets: list[int] = field(default_factory=list)

    def __call__(
        self, images: torch.Tensor, target: int | Sequence[int] | torch.Tensor | None = None
    ) -> Explanation:
        assert target is not None
        targets = torch.as_tensor(target).expand(len(images))
        maps = (images.mean(dim=1) - GREY / 255).abs()
        statuses = []
        for one, of in zip(maps, targets.tolist(), strict=True):
            self.targets.append(of)
            if len(self.targets) == self.stop_at:
                raise KeyboardInterrupt
            plain = one.amax() < 1e-6
            statuses.append(self.statuses.get(of, "constant map" if plain else "ok"))
            one.copy_(one / one.amax() if statuses[-1] == "ok" else torch.zeros_like(one))
        return Explanation(
            maps=maps,
            targets=targets,
            scores=torch.full((len(images),), 0.5),
            status=tuple(statuses),
            layers=(),
            forwards=torch.full((len(images),), 11),
        )


def toy_features(images: torch.Tensor) -> np.ndarray:
    """Features (B, 3) float16 of length 1: the shares of grey, of bright and of black pixels."""
    grey = images.mean(dim=1)
    bright, black = ((one).float().mean(dim=(1, 2)) for one in (grey > 0.9, grey < 0.1))
    shares = torch.stack([1 - bright - black, bright, black], dim=1)
    return nn.functional.normalize(shares).numpy().astype(np.float16)


def lively_network() -> nn.Module:
    """A small untrained network whose output depends on its input.

    Its batch norms have seen one batch; without that, activations fade from layer to layer.
    """
    torch.manual_seed(0)
    network = build_network("shufflenet_v2_x0_5", len(CLASSES))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network(torch.randn(4, 3, 256, 256))
    return network


def strip(width: int = 512, bright: Sequence[int] = (), black: Sequence[int] = ()) -> np.ndarray:
    """A grey strip with squares of 64 px, bright or black, at these left edges (top 96 px)."""
    pixels = np.full((256, width, 3), GREY, np.uint8)
    for left in bright:
        pixels[96:160, left : left + 64] = BRIGHT
    for left in black:
        pixels[96:160, left : left + 64] = BLACK
    return pixels


def write_strip(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, pixels)
