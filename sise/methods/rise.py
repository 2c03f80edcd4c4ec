"""RISE (Petsiuk, Das, Saenko, BMVC 2018)."""

from dataclasses import dataclass

import torch
from torch import nn

from sise.errors import SiseError
from sise.explanation import Explanation
from sise.masks import upsample
from sise.methods.base import MaskScoringExplainer
from sise.methods.prediction import explanation, predict
from sise.sampling import MaskSet
from sise.targets import Target


@dataclass(frozen=True)
class RandomMasks:
    """N smooth random masks for images of `size` (H, W), in the paper's section on mask generation.

    `grids` (N, g, g) bool, and `shifts` (N, 2) int64: each grid is upsampled bilinearly to one
    cell more than the image a side, and cropped `shifts` px from its top left corner.
    """

    grids: torch.Tensor
    shifts: torch.Tensor
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.grids)

    def between(self, start: int, stop: int, like: torch.Tensor) -> torch.Tensor:
        """Masks `start` to `stop`, (K, H, W) in [0, 1], with the dtype and device of `like`."""
        cells = self.grids.shape[1]
        height, width = self.size
        cell_height, cell_width = _cell(cells, self.size)
        wider = ((cells + 1) * cell_height, (cells + 1) * cell_width)
        whole = upsample(self.grids[start:stop].to(like), wider)
        corners = self.shifts[start:stop].tolist()
        return torch.stack(
            [
                mask[top : top + height, left : left + width]
                for mask, (top, left) in zip(whole, corners, strict=True)
            ]
        )


def random_masks(
    count: int, cells: int, share: float, size: tuple[int, int], seed: int
) -> RandomMasks:
    """`count` masks of `cells` × `cells`, of which about `share` are kept, drawn from `seed`.

    Drawn on the processor, so that they are the same for every device and batch size.
    """
    generator = torch.Generator().manual_seed(seed)
    grids = torch.rand(count, cells, cells, generator=generator) < share
    shifts = torch.stack(
        [torch.randint(0, cell, (count,), generator=generator) for cell in _cell(cells, size)],
        dim=1,
    )
    return RandomMasks(grids, shifts, size)


def _cell(cells: int, size: tuple[int, int]) -> tuple[int, int]:
    return -(-size[0] // cells), -(-size[1] // cells)


@dataclass(eq=False)
class RISE(MaskScoringExplainer):
    """The mean of random masks, each weighted by the class's probability under it.

    S = 1 / (p·N) · Σ f(I ⊙ M) · M, the paper's equation 6, min-max normalised. All images are
    shown the same masks, which depend on `seed` and the image's size alone.

    Args:
        n_masks: N, 4,000 in the paper for VGG16 and 8,000 for ResNet-50.
        cells: of a mask's grid a side. The paper has 7 on images of 224 px; 8 on 256 px are
            cells of 32 px as well.
        share: p, of cells that are kept; 0.5 in the paper.
        seed: of the masks.

    Other arguments and errors as for `SISE`. Masks are made batch by batch: memory does not
    depend on N.
    """

    n_masks: int = 4000
    cells: int = 8
    share: float = 0.5
    seed: int = 0

    def __post_init__(self, model: nn.Module) -> None:
        if self.n_masks < 1:
            raise SiseError(f"n_masks must be at least 1, not {self.n_masks}")
        if self.cells < 2:
            raise SiseError(f"cells must be at least 2, not {self.cells}")
        if not 0 < self.share < 1:
            raise SiseError(f"share must lie between 0 and 1, not {self.share}")
        super().__post_init__(model)

    @torch.no_grad()
    def _explain(self, images: torch.Tensor, target: Target) -> Explanation:
        prediction = predict(self.engine, images, target)
        size = (images.shape[2], images.shape[3])
        drawn = random_masks(self.n_masks, self.cells, self.share, size, self.seed)
        scorer = self.engine.scorer(images, prediction.targets)
        totals = torch.zeros_like(images[:, 0])
        start = 0
        while start < len(drawn):
            stop = min(start + scorer.batch_size.value, len(drawn))
            masks = drawn.between(start, stop, images)
            for index in range(len(images)):
                owners = torch.full((len(masks),), index, device=images.device)
                (scores,) = scorer([MaskSet(masks, owners)])
                totals[index] += torch.einsum("k,khw->hw", scores, masks)
            start = stop
        maps = totals / (self.share * self.n_masks)
        return explanation(self.engine, prediction, maps, self.n_masks + 1)
