"""SISE: Semantic Input Sampling for Explanation (Sattarzadeh et al., AAAI-21)."""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass

import torch
from torch import nn

from sise.blocks import Layer
from sise.budget import Budget, Estimate, check_budget, settle
from sise.capture import Capture, Objective, capture
from sise.choices import Continuation, Evidence, Fusion
from sise.context import Context, check_context, features_in_context
from sise.errors import SiseError
from sise.evidence import EvidenceScorer, affordable, check_evidence, passes_of
from sise.explanation import Explanation, LayerExplanation, joined, usable
from sise.fusion import fuse
from sise.logits import probabilities
from sise.masks import SmallMasks, attribution_masks, constant_maps
from sise.methods.base import LayersExplainer, MaskScoringExplainer
from sise.sampling import Asking, MaskSet, visualization_map
from sise.selection import Mu, average_gradients, check_mu, positive_gradient_maps
from sise.targets import Target


@dataclass(eq=False)
class SISE(LayersExplainer, MaskScoringExplainer):
    """Explain a CNN's prediction from the feature maps of each of its convolutional blocks.

    >>> explainer = SISE(model)
    >>> explanation = explainer(images)     # (B, 3, H, W), normalised as the model takes them
    >>> explanation.maps                    # (B, H, W) in [0, 1]

    Ψ is the probability of the explained class, and every feature map with a gradient
    α > μ·β is scored: the exact algorithm of the paper. The model is given back as it was.

    Args:
        model: a CNN that maps (B, 3, H, W) to logits (B, classes).
        mu: μ ≥ 0 of equation 7; larger values score fewer maps. "otsu" sets it for each layer, by
            Otsu's threshold of the positive α (Ada-SISE).
        budget: forward passes per image, at most: a few masks are scored, and from them the
            scores of the others are estimated (docs/budget.md). "auto" goes on until the map
            has settled. None, the paper's SISE, scores every mask.
        layers: names or modules to explain, shallow to deep; the blocks of the model's graph
            if None (see `blocks.find_blocks`).
        fusion: "hard" (the paper's figure 5), "soft" (the authors' later code) or "geometric"
            (ours: a pixel counts where all layers agree; see `fusion.fuse`).
        fill: what masked-out pixels become (see `baselines`): "grey" (the paper: 0 in the model's
            normalised input), "mean", "blur", "inpaint" or a colour (3,).
        context: how the image is continued beyond its border while its feature maps are taken
            (see `context`): "reflect" or "edge". None, the paper's, leaves the zero padding of the
            network in the masks.
        evidence: what a mask is worth (see `evidence`): "kept" (the paper: the class's probability
            on what the mask keeps), "removed" (what it loses without that), "both" (their mean), or
            "none" (1: the masks' shapes alone).
        output: what makes probabilities of what the model returns: "softmax" of logits; "sigmoid"
            of those of a multi-label model, or of one logit, whose classes are 0 (negative,
            1 - σ) and 1 (positive, σ); "probabilities" are some already.
        precision: of the scored passes; "auto" is bf16 where the hardware has it. Feature maps,
            gradients and sums are float32, or float64 with "fp64".
        batch_size: masked images per forward pass; "auto" suits the device, and is halved when
            memory runs out.
        backend: what runs the scored passes: "torch", or "openvino" on a processor.
        compile: compile the scored passes with torch.compile: slow to begin, then faster.

    Raises:
        SiseError: for options, images or targets that make no sense.
        LayerError: where layers cannot be found or have no feature maps.
    """

    mu: Mu = 0.0
    budget: Budget = None
    _: KW_ONLY
    fusion: Fusion = "hard"
    context: Continuation | None = None
    evidence: Evidence = "kept"

    def __post_init__(self, model: nn.Module) -> None:
        check_mu(self.mu)
        check_budget(self.budget)
        check_context(self.context)
        check_evidence(self.evidence)
        _check_affordable(self.budget, self.context)
        super().__post_init__(model)

    def __call__(
        self, images: torch.Tensor, target: Target = None, context: Context | None = None
    ) -> Explanation:
        """Explain images (B, 3, H, W) for `target`: None (the predicted class), an int, a list
        or a tensor of class indices.

        `context` takes the place of the explainer's own: wider pieces of steel
        (B, 3, H + 2·margin, W + 2·margin) with the images in their middle (`context.MARGIN`
        suits most networks), or how the images are continued.
        """
        context = self.context if context is None else context
        check_context(context, images)
        _check_affordable(self.budget, context)
        return self.engine.explain_together(images, target, self._explain, context)

    def _explain(
        self, images: torch.Tensor, target: Target, context: Context | None = None
    ) -> Explanation:
        at_once = self.engine.captured_at_once(images)
        shares = self.engine.in_shares(self._see, at_once, images, target, context)
        targets = torch.cat([seen.targets for seen in shares])
        with torch.no_grad():
            size = (images.shape[2], images.shape[3])
            works = [self._score_and_fuse(seen, size) for seen in shares]
            scorer = self.engine.scorer(images, targets)
            return joined(scorer.work_off(works, [len(seen.targets) for seen in shares]))

    def _see(self, images: torch.Tensor, target: Target, context: Context | None) -> "Seen":
        layers = self.engine.layers(images)
        seen = self._capture(layers, images, target)
        wide = seen.features
        if context is not None:
            forward = self.engine.exact_forward(images.device)
            sizes = [(maps.shape[2], maps.shape[3]) for maps in seen.features]
            wide = features_in_context(forward, layers, images, context, sizes)
        selections = tuple(
            select(features, gradients, self.mu, (images.shape[2], images.shape[3]))
            for features, gradients in zip(wide, seen.gradients, strict=True)
        )
        names = tuple(layer.name for layer in layers)
        spent = 1 if context is None else 2
        return Seen(names, seen.logits, seen.targets, selections, spent)

    def _capture(self, layers: Sequence[Layer], images: torch.Tensor, target: Target) -> Capture:
        # The gradient of a class's sigmoid is that of its logit, but for a positive factor.
        objective: Objective = "log-odds" if self.output == "softmax" else "logit"
        return capture(self.engine.exact_forward(images.device), layers, images, target, objective)

    def _score_and_fuse(self, seen: "Seen", size: tuple[int, int]) -> Asking[Explanation]:
        selections = seen.selections

        def visualized(scores: Sequence[torch.Tensor]) -> list[torch.Tensor]:
            return [
                visualization_map(one.masks, score, one.counts, size)
                for one, score in zip(selections, scores, strict=True)
            ]

        scorer = EvidenceScorer(self.evidence, seen.logits)
        scores, scored = yield from self._scores(scorer, seen, size, visualized)
        visualizations = visualized(scores)
        per_layer = tuple(
            LayerExplanation(
                name=name,
                maps=maps.float(),
                found=one.constant.shape[1],
                constant=one.constant.sum(dim=1),
                selected=one.selected.sum(dim=1),
                scored=passes,
            )
            for name, maps, one, passes in zip(
                seen.layers, visualizations, selections, scored, strict=True
            )
        )
        selected = torch.stack([layer.selected for layer in per_layer]).sum(dim=0)
        maps, status = usable(fuse(visualizations, self.fusion), selected)
        output = self.output
        return Explanation(
            maps=maps,
            targets=seen.targets,
            scores=probabilities(seen.logits, seen.targets, output).float(),
            status=status,
            layers=per_layer,
            forwards=passes_of(self.evidence, torch.stack(scored).sum(dim=0)) + seen.spent,
        )

    def _scores(
        self,
        scorer: EvidenceScorer,
        seen: "Seen",
        size: tuple[int, int],
        visualized: Callable[[Sequence[torch.Tensor]], list[torch.Tensor]],
    ) -> Asking[tuple[Sequence[torch.Tensor], list[torch.Tensor]]]:
        """Per layer, the scores (K,) of its masks and how many of each image were scored (B,)."""
        mask_sets = [MaskSet(one.masks.values, one.owners) for one in seen.selections]
        counts = [one.selected.sum(dim=1) for one in seen.selections]
        if self.evidence == "none":
            ones = yield from scorer(mask_sets)
            return ones, [torch.zeros_like(count) for count in counts]
        if self.budget is None:
            return (yield from scorer(mask_sets)), counts
        estimate = Estimate(mask_sets, len(counts[0]), size)
        if self.budget == "auto":
            yield from settle(
                estimate, scorer, lambda scores: fuse(visualized(scores), self.fusion)
            )
        else:
            masks = affordable(self.evidence, self.budget - seen.spent)
            yield from estimate.score(scorer, torch.full_like(estimate.masks, masks))
        return estimate.scores(), estimate.scored


def _check_affordable(budget: Budget, context: Context | None) -> None:
    if budget == 1 and context is not None:
        raise SiseError("budget=1 leaves no pass for the context; give at least 2, or no context")


@dataclass(frozen=True)
class Seen:
    """What scoring needs to know of B images: `layers` by name, `logits` (B, classes), `targets`
    (B,), what each layer gives, and how many passes were `spent` on it per image."""

    layers: tuple[str, ...]
    logits: torch.Tensor
    targets: torch.Tensor
    selections: tuple["Selection", ...]
    spent: int


@dataclass(frozen=True)
class Selection:
    """What a layer gives to B images: `selected` and `constant` (B, N) bool, and the K masks of
    the selected maps with the image (K,) that each belongs to; `counts` (B) per image."""

    selected: torch.Tensor
    constant: torch.Tensor
    masks: SmallMasks
    owners: torch.Tensor
    counts: Sequence[int]


def select(
    features: torch.Tensor, gradients: torch.Tensor, mu: Mu, size: tuple[int, int]
) -> Selection:
    constant = constant_maps(features)
    selected = positive_gradient_maps(average_gradients(gradients), mu) & ~constant
    owners = selected.nonzero(as_tuple=True)[0]
    wide = features if features.dtype == torch.float64 else features.float()
    return Selection(
        selected,
        constant,
        attribution_masks(wide[selected], size),
        owners,
        selected.sum(dim=1).tolist(),
    )
