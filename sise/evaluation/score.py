"""What the explained model says of changed images, for metrics that ask it again."""

from collections.abc import Mapping
from typing import Any

import torch

from sise.backends import Network
from sise.bundle import ModelBundle
from sise.capture import in_eval_mode
from sise.engine import Engine, Settings
from sise.logits import probabilities


class ModelScore:
    """Probabilities (K,) of images (K, 3, H, W) for classes (K,): a `sise.metrics.Score`.

    Whole and changed images are scored in the same precision, that of the masks: rounding may tip
    a single image's Increase, and favours no method. `shared` are the options that methods share;
    see `sise.SISE`.
    """

    def __init__(self, bundle: ModelBundle, shared: Mapping[str, Any]) -> None:
        self.engine = Engine(bundle.model, Settings(**shared))

    @torch.no_grad()
    def __call__(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        with in_eval_mode(self.engine.model), self.engine.unchanging():
            self.engine.check_model(images)
            network = self.engine.scoring_network(images.device)
            size = self.engine.batch_size(images).value
            found = [
                probabilities(_padded(network, part, size), labels, self.engine.settings.output)
                for part, labels in zip(
                    torch.split(images, size), torch.split(targets, size), strict=True
                )
            ]
        return torch.cat(found)


def _padded(network: Network, images: torch.Tensor, size: int) -> torch.Tensor:
    """Logits of `images`; a static network's last batch is filled up."""
    if not network.static or len(images) == size:
        return network.forward(images)
    room = images.new_zeros(size, *images.shape[1:])
    room[: len(images)] = images
    return network.forward(room)[: len(images)]
