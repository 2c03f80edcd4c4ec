"""What training minimises: cross-entropy, and how it is told that some classes are rare.

Of the four changes each has its own switch, so that an ablation can take one at a time.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional

from training.errors import RecipeError


@dataclass(frozen=True)
class Loss:
    """Cross-entropy with changes; the default has none.

    Args:
        logit_adjustment: τ of Menon et al. (ICLR 2021): the logits' τ·log(class frequency) is added
            in the loss alone, so that rare classes get a wider margin.
        class_balanced: β of Cui et al. (CVPR 2019), 0.999 say: a class of n crops weighs
            (1 - β) / (1 - βⁿ), the mean weight of a crop being 1.
        focal: γ of Lin et al. (ICCV 2017), 2 say: a crop whose class has probability p counts
            (1 - p)^γ times.
        label_smoothing: share of the target probability that is spread over all classes.
    """

    logit_adjustment: float = 0.0
    class_balanced: float = 0.0
    focal: float = 0.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        for name in ("logit_adjustment", "focal"):
            if not getattr(self, name) >= 0:
                raise RecipeError(f"model.{name} must be 0 or more, not {getattr(self, name)}")
        for name in ("class_balanced", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise RecipeError(f"model.{name} must be 0 to below 1, not {getattr(self, name)}")

    def __call__(
        self, logits: torch.Tensor, labels: torch.Tensor, class_counts: tuple[float, ...]
    ) -> torch.Tensor:
        """The mean loss, a scalar, of logits (B, C) against labels (B,).

        `class_counts` (C,), all positive, say how many crops of each class there are. Logit
        adjustment depends on their proportions alone, class balancing on the counts themselves.
        """
        counts = torch.tensor(class_counts, dtype=torch.float32, device=logits.device)
        adjusted = logits + self.logit_adjustment * (counts / counts.sum()).log()
        losses = functional.cross_entropy(
            adjusted, labels, reduction="none", label_smoothing=self.label_smoothing
        )
        if self.focal:
            true = adjusted.softmax(dim=1).gather(1, labels[:, None])[:, 0]
            losses = losses * (1 - true) ** self.focal
        if self.class_balanced:
            losses = losses * class_weights(counts, self.class_balanced)[labels]
        return losses.mean()


def class_weights(counts: torch.Tensor, beta: float) -> torch.Tensor:
    """Weights (C,) of classes with `counts` (C,) crops: Cui et al., equation 9.

    They are scaled so that the mean over all crops is 1; the learning rate then keeps its meaning.
    """
    # expm1, as 1 - βⁿ loses all digits in float32 when β is near 1.
    log_beta = torch.tensor(beta, dtype=torch.float64).log()
    wide = counts.double()
    inverse = -1 / torch.expm1(wide * log_beta.to(counts.device))
    return (inverse * wide.sum() / (inverse * wide).sum()).float()


def mixed(
    images: torch.Tensor, labels: torch.Tensor, alpha: float
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Mixup (Zhang et al., ICLR 2018): images (B, ...) laid over others of the batch.

    Returns the images, the labels (B,) of those laid over, and the share in [0, 1] that is left of
    the first, drawn from Beta(`alpha`, `alpha`) by torch's generator.
    """
    shape = torch.tensor(float(alpha))
    share = float(torch.distributions.Beta(shape, shape).sample())
    other = torch.randperm(len(labels)).to(labels.device)
    return share * images + (1 - share) * images[other], labels[other], share
