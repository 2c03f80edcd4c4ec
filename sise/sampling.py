"""Phase 3: score masked inputs and add them up (equations 10 to 12).

The masks of all images and layers form one long row that is cut into batches of one size, so
that the cost is the number of masks times the price of a forward pass. A mask has the image's
size only while its batch is scored. The sum of equation 12 is taken at the feature maps' own
resolution and upsampled once, which is the same sum because bilinear interpolation is linear.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import torch

from sise.backends import Network
from sise.baselines import Masker
from sise.batches import BatchSize
from sise.logits import Output, probabilities
from sise.masks import SmallMasks, upsample


@dataclass(frozen=True)
class MaskSet:
    """Masks (K, h, w) of one layer that are to be scored, and the image (K,) each belongs to."""

    masks: torch.Tensor
    owners: torch.Tensor

    def __len__(self) -> int:
        return len(self.masks)


Made = TypeVar("Made")
Asking = Generator[Sequence[MaskSet], Sequence[torch.Tensor], Made]
"""Work on some images that stops to ask for scores: it yields masks, whose owners count from the
first of its images, and is sent the score (K,) of each."""


@dataclass(frozen=True)
class MaskScorer:
    """Scores masked images: Ψ(I ⊙ m) of equation 10, for the classes `targets` (B,)."""

    network: Network
    masker: Masker
    targets: torch.Tensor
    output: Output
    batch_size: BatchSize

    def __call__(self, mask_sets: Sequence[MaskSet]) -> tuple[torch.Tensor, ...]:
        """The score of every mask: (K,) for each element of `mask_sets`, in the masks' dtype.

        Out of memory, a batch is halved and scored again; raises SiseError if not even one
        masked image fits.
        """
        scores = torch.cat([part.masks.new_empty(len(part)) for part in mask_sets])
        buffers = self._buffers(scores.dtype)

        def score(start: int, stop: int) -> None:
            nonlocal buffers
            if len(buffers.masks) > self.batch_size.value:  # halved
                buffers = self._buffers(scores.dtype)
            scores[start:stop] = self._score(list(_between(mask_sets, start, stop)), buffers)

        self.batch_size.run(len(scores), score)
        return torch.split(scores, [len(part) for part in mask_sets])

    def work_off(self, works: Sequence[Asking[Made]], images: Sequence[int]) -> list[Made]:
        """What each of `works` makes of its share of the images, `images` many, in order.

        All go on until they ask; then their masks are scored in one row. Raises as `__call__`.
        """
        made: dict[int, Made] = {}
        firsts = [sum(images[:place]) for place in range(len(images))]
        answers: dict[int, Sequence[torch.Tensor] | None] = dict.fromkeys(range(len(works)))
        while answers:
            asked: dict[int, list[MaskSet]] = {}
            for place, answer in answers.items():
                try:
                    sets = next(works[place]) if answer is None else works[place].send(answer)
                except StopIteration as finished:
                    made[place] = finished.value
                    continue
                asked[place] = [MaskSet(one.masks, one.owners + firsts[place]) for one in sets]
            scores = iter(self([one for sets in asked.values() for one in sets]) if asked else ())
            answers = {place: tuple(islice(scores, len(sets))) for place, sets in asked.items()}
        return [made[place] for place in range(len(works))]

    def _buffers(self, dtype: torch.dtype) -> "_Buffers":
        shape = (self.batch_size.value, *self.masker.size)
        images = self.masker.images
        masked = images.new_zeros((shape[0], images.shape[1], *shape[1:]))
        return _Buffers(images.new_empty(shape, dtype=dtype), masked)

    def _score(self, batch: Sequence[MaskSet], buffers: "_Buffers") -> torch.Tensor:
        owners = torch.cat([piece.owners for piece in batch])
        masks, inputs = buffers.masks[: len(owners)], buffers.inputs[: len(owners)]
        start = 0
        for piece in batch:
            upsample(piece.masks, self.masker.size, out=masks[start : start + len(piece)])
            start += len(piece)
        self.masker.masked(owners, masks, out=inputs)
        # What is left of an earlier batch fills a static network's last one.
        logits = self.network.forward(buffers.inputs if self.network.static else inputs)
        return probabilities(logits[: len(owners)], self.targets[owners], self.output)


@dataclass(frozen=True)
class _Buffers:
    """Memory for one batch, used again for the next: fresh pages cost more than the masking.

    `masks` (batch, H, W) in the masks' dtype, `inputs` (batch, 3, H, W) in the network's.
    """

    masks: torch.Tensor
    inputs: torch.Tensor


def _between(mask_sets: Sequence[MaskSet], start: int, stop: int) -> Iterator[MaskSet]:
    """The masks from position `start` to `stop` of the long row."""
    before = 0
    for part in mask_sets:
        first, last = max(start - before, 0), min(stop - before, len(part))
        if first < last:
            yield MaskSet(part.masks[first:last], part.owners[first:last])
        before += len(part)


def visualization_map(
    masks: SmallMasks, scores: torch.Tensor, counts: Sequence[int], size: tuple[int, int]
) -> torch.Tensor:
    """V of one layer for B images, (B, H, W): each the mean of score · mask / area.

    `masks` and `scores` (K,) are those of all images, in order; `counts` (B) tells how many
    are whose. Equations 11 and 12. An image without a mask gets zeros.
    """
    weights = torch.where(masks.areas > 0, scores / masks.areas, 0.0)
    # Image by image, and not by index_add: on a GPU that would add in another order each time.
    totals = [
        torch.einsum("k,khw->hw", weight, values) / max(count, 1)
        for weight, values, count in zip(
            torch.split(weights, list(counts)),
            torch.split(masks.values, list(counts)),
            counts,
            strict=True,
        )
    ]
    return upsample(torch.stack(totals), size)
