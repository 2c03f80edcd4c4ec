"""Networks whose explanations are known by hand, or cheap to compute twice."""

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
