"""Networks whose explanations are known by hand, or cheap to compute twice."""

from collections.abc import Callable, Container, Iterable
from typing import Any

import pytest
import torch
from torch import nn


class HandNet(nn.Module):
    """Feature maps equal to the image's channels, at full and at half resolution.

    logit 0 = mean(red) + 2 · mean(blue), logit 1 = mean(green). So for class 0, whatever the
    image: α(red) = 1, α(green) = -1, α(blue) = 2, in both blocks.
    """

    def __init__(self) -> None:
        super().__init__()
        self.block1 = nn.Conv2d(3, 3, kernel_size=1, bias=False)
        self.pool = nn.AvgPool2d(2)
        self.block2 = nn.Conv2d(3, 3, kernel_size=1, bias=False)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(3, 2, bias=False)
        with torch.no_grad():
            for block in (self.block1, self.block2):
                block.weight.copy_(torch.eye(3).reshape(3, 3, 1, 1))
            self.head.weight.copy_(torch.tensor([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pooled = self.block2(self.pool(self.block1(images)))
        logits: torch.Tensor = self.head(self.average(pooled).flatten(1))
        return logits


def small_cnn(seed: int = 0, classes: int = 3) -> nn.Sequential:
    """Two blocks of convolution, batch norm and in-place ReLU, with untrained weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 12, 3, padding=1),
            nn.BatchNorm2d(12),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(12, classes),
        )
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(std=0.1)  # type: ignore[union-attr]
                module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
        # Scores that differ between masked images, as a trained network's do.
        network[-1].weight.data.mul_(20)
        return network.eval()


def some_images(count: int = 3, size: tuple[int, int] = (16, 24), seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, *size, generator=generator)


def quickly(names: Iterable[Any], quick: Container[Any]) -> list[Any]:
    """Parameters of a test: `names`, of which those not in `quick` are marked `slow`."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


class Breaking(nn.Module):
    """A last module that gives `value` for every class of an image of very large numbers."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        broken = logits.abs().amax(dim=1, keepdim=True) > 1e4
        return torch.where(broken, self.value, logits)


class Returning(nn.Module):
    """A network of blocks "body.2" and "body.6" that returns its logits in some other form."""

    def __init__(self, wrap: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.body = small_cnn()
        self.wrap = wrap

    def forward(self, images: torch.Tensor) -> Any:
        return self.wrap(self.body(images))


def snapshot(model: nn.Module) -> dict[str, object]:
    """All that an explainer could change in a model, and in the process it runs in."""
    backends: Any = torch.backends
    operators = backends.cudnn.conv, backends.cuda.matmul, backends.mkldnn.matmul
    seen: dict[str, object] = {
        "autograd": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.is_autocast_enabled("cuda")),
        "float32": [operator.fp32_precision for operator in operators],
    }
    for name, module in model.named_modules():
        own = vars(module)
        seen[f"module {name}"] = (type(module), module.training, sorted(own))
        seen[f"hooks of {name}"] = {key: list(own[key]) for key in own if key.endswith("_hooks")}
        plain = {key: value for key, value in own.items() if isinstance(value, torch.Tensor)}
        tensors = {**module._parameters, **module._buffers, **plain}
        seen.update({f"{name}.{key}": _all_of(value) for key, value in tensors.items()})
    return seen


def _all_of(tensor: torch.Tensor | None) -> object:
    if tensor is None:
        return None
    about = (tensor.data_ptr(), tensor.dtype, tensor.stride(), tensor.requires_grad)
    return tensor.tolist(), *about, _all_of(tensor.grad if tensor.is_leaf else None)
