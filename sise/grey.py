"""Networks for grey images: a first convolution that looks at one channel, not at three alike."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sise.colours import IMAGENET_MEAN, IMAGENET_STD, Colour
from sise.errors import BundleError

PADS_BY_SIZE = "Conv2dSame"
"""timm's convolution that pads as TensorFlow does, by the image's size."""


class GreyConv2d(nn.Conv2d):
    """The first convolution of a network for grey images.

    Takes (B, 3, H, W), as the network does whose place it takes, and looks at the first channel
    alone; or (B, 1, H, W). `shift` (N, 1, kh, kw), None if it is zero, is convolved with ones: what
    three channels of different means add, which at the border is less.

    Args:
        like: the convolution whose place it takes, of three channels.
    """

    shift: torch.Tensor | None

    def __init__(self, like: nn.Conv2d) -> None:
        super().__init__(
            1,
            like.out_channels,
            like.kernel_size,  # type: ignore[arg-type]
            like.stride,  # type: ignore[arg-type]
            like.padding,  # type: ignore[arg-type]
            like.dilation,  # type: ignore[arg-type]
            bias=like.bias is not None,
            padding_mode=like.padding_mode,
        )
        self.pads_by_size = type(like).__name__ == PADS_BY_SIZE
        self.register_buffer("shift", None)

    def reset_parameters(self) -> None:
        """New weights as of any convolution, and no shift."""
        super().reset_parameters()
        self.register_buffer("shift", None)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        grey = images[:, :1]
        maps = self._convolved(grey, self.weight, self.bias)
        return maps if self.shift is None else maps + self._shifted(grey, self.shift)

    def offset(self, images: torch.Tensor) -> torch.Tensor | None:
        """What is added to the linear part, (1, N, h, w) or (N, 1, 1); None if nothing is."""
        bias = None if self.bias is None else self.bias.reshape(-1, 1, 1)
        if self.shift is None:
            return bias
        shifted = self._shifted(images[:, :1], self.shift)
        return shifted if bias is None else shifted + bias

    def fused(self, norm: nn.BatchNorm2d) -> "GreyConv2d":
        """A copy that does what the batch norm, in evaluation mode, does after it."""
        fused = fuse_conv_bn_eval(self, norm)
        if self.shift is not None and norm.running_var is not None:
            scale = (norm.running_var + norm.eps).rsqrt()
            scale = scale if norm.weight is None else scale * norm.weight
            fused.shift = self.shift * scale.detach().reshape(-1, 1, 1, 1)
        return fused

    def _shifted(self, grey: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        return self._convolved(torch.ones_like(grey[:1]), shift, None)

    def _convolved(
        self, grey: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        if self.pads_by_size:
            before_and_after = [
                pad
                for side in (1, 0)  # the last axis comes first
                for pad in _padding(
                    grey.shape[2 + side],
                    self.kernel_size[side],
                    self.stride[side],
                    self.dilation[side],
                )
            ]
            grey = functional.pad(grey, before_and_after)
        maps: torch.Tensor = self._conv_forward(grey, weight, bias)
        return maps

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        shift = torch.zeros_like(self.weight) if f"{prefix}shift" in state_dict else None
        self.register_buffer("shift", shift)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _padding(pixels: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Pixels before and after so that ceil(pixels / stride) results come out."""
    reach = (-(-pixels // stride) - 1) * stride + dilation * (kernel - 1) + 1
    total = max(reach - pixels, 0)
    return total // 2, total - total // 2


def channels_of(network: nn.Module) -> Literal[1, 3]:
    """How many channels of its images a network looks at: 1 after `make_grey`, else 3."""
    return 1 if any(isinstance(module, GreyConv2d) for module in network.modules()) else 3


def make_grey(network: nn.Module, mean: Colour, std: Colour) -> None:
    """Put a one-channel convolution in the place of a network's first one.

    It answers the same on grey images, normalised per channel by `mean` and `std`; those are then
    no multiples of each other, but channel c is a·x + d of the first, x. Raises BundleError for a
    network whose first convolution is not one of three channels.
    """
    if getattr(network, "transform_input", False):
        mean, std = _transformed(mean, std)
    name, stem = _stem(network)
    weight = stem.weight.detach()
    grey = GreyConv2d(stem).to(weight)
    with torch.no_grad():
        scales = [std[0] / std[channel] for channel in range(3)]
        shifts = [(mean[0] - mean[channel]) / std[channel] for channel in range(3)]
        grey.weight.copy_(_summed(weight, scales))
        if grey.bias is not None and stem.bias is not None:
            grey.bias.copy_(stem.bias)
        if any(shifts):
            grey.register_buffer("shift", _summed(weight, shifts))
    network.set_submodule(name, grey.train(stem.training))


def _transformed(mean: Colour, std: Colour) -> tuple[Colour, Colour]:
    """Mean and deviation of images as they are after `transform_input`.

    It makes x·d/0.5 + (m - 0.5)/0.5 of x, with ImageNet's deviation d and mean m. Of images
    normalised by these that is 0.5 and 0.5.
    """
    deviations = [0.5 * own / theirs for own, theirs in zip(std, IMAGENET_STD, strict=True)]
    means = [
        own - (theirs - 0.5) / 0.5 * deviation
        for own, theirs, deviation in zip(mean, IMAGENET_MEAN, deviations, strict=True)
    ]
    return (means[0], means[1], means[2]), (deviations[0], deviations[1], deviations[2])


def _summed(weight: torch.Tensor, factors: list[float]) -> torch.Tensor:
    """The sum over channels of a weight (N, 3, kh, kw) times factors (3,): (N, 1, kh, kw)."""
    wide = torch.tensor(factors, dtype=torch.float64, device=weight.device).reshape(1, 3, 1, 1)
    return (weight * wide).sum(dim=1, keepdim=True).to(weight.dtype)


def _stem(network: nn.Module) -> tuple[str, nn.Conv2d]:
    found = [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and module.in_channels == 3
    ]
    kinds = [type(module) for _, module in found]
    if kinds != [nn.Conv2d] and [kind.__name__ for kind in kinds] != [PADS_BY_SIZE]:
        raise BundleError(
            f"{type(network).__name__} has no first convolution that can be made one of a single "
            "channel; use all three (model.channels 3)"
        )
    return found[0]
