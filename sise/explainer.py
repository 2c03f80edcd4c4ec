"""SISE: Semantic Input Sampling for Explanation (Sattarzadeh et al., AAAI-21)."""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial

import torch
from torch import nn

from sise.blocks import Layer
from sise.budget import Budget, Estimate, check_budget, settle
from sise.capture import Capture, Objective, capture
from sise.context import Context, Continuation, check_context, features_in_context
from sise.errors import SiseError
from sise.evidence import Evidence, EvidenceScorer, affordable, check_evidence, passes_of
from sise.explanation import Explanation, LayerExplanation, usable
from sise.fusion import Fusion, fuse
from sise.logits import probabilities
from sise.masks import SmallMasks, attribution_masks, constant_maps
from sise.methods.base import LayersExplainer, MaskScoringExplainer
from sise.sampling import MaskSet, visualization_map
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
        if isinstance(context, torch.Tensor):
            return self.engine.explain(images, target, self._explain, context)
        return self.engine.explain(images, target, partial(self._explain, context=context))

    def _explain(
        self, images: torch.Tensor, target: Target, context: Context | None = None
    ) -> Explanation:
        layers = self.engine.layers(images)
        seen = self._capture(layers, images, target)
        if context is not None:
            forward = self.engine.exact_forward(images.device)
            sizes = [(maps.shape[2], maps.shape[3]) for maps in seen.features]
            features = features_in_context(forward, layers, images, context, sizes)
            seen = replace(seen, features=features)
        selections = [
            select(features, gradients, self.mu, (images.shape[2], images.shape[3]))
            for features, gradients in zip(seen.features, seen.gradients, strict=True)
        ]
        with torch.no_grad():
            return self._score_and_fuse(
                layers, images, seen, selections, spent=1 if context is None else 2
            )

    def _capture(self, layers: Sequence[Layer], images: torch.Tensor, target: Target) -> Capture:
        # The gradient of a class's sigmoid is that of its logit, but for a positive factor.
        objective: Objective = "log-odds" if self.output == "softmax" else "logit"
        return capture(self.engine.exact_forward(images.device), layers, images, target, objective)

    def _score_and_fuse(
        self,
        layers: Sequence[Layer],
        images: torch.Tensor,
        seen: Capture,
        selections: Sequence["Selection"],
        spent: int,
    ) -> Explanation:
        """`spent` passes went before: for feature maps and gradients, and for a context."""
        size = (images.shape[2], images.shape[3])

        def visualized(scores: Sequence[torch.Tensor]) -> list[torch.Tensor]:
            return [
                visualization_map(one.masks, score, one.counts, size)
                for one, score in zip(selections, scores, strict=True)
            ]

        scorer = EvidenceScorer(self.evidence, self.engine.scorer(images, seen.targets))
        scores, scored = self._scores(scorer, selections, size, visualized, spent)
        visualizations = visualized(scores)
        per_layer = tuple(
            LayerExplanation(
                name=layer.name,
                maps=maps.float(),
                found=one.constant.shape[1],
                constant=one.constant.sum(dim=1),
                selected=one.selected.sum(dim=1),
                scored=passes,
            )
            for layer, maps, one, passes in zip(
                layers, visualizations, selections, scored, strict=True
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
            forwards=passes_of(self.evidence, torch.stack(scored).sum(dim=0)) + spent,
        )

    def _scores(
        self,
        scorer: EvidenceScorer,
        selections: Sequence["Selection"],
        size: tuple[int, int],
        visualized: Callable[[Sequence[torch.Tensor]], list[torch.Tensor]],
        spent: int,
    ) -> tuple[Sequence[torch.Tensor], list[torch.Tensor]]:
        """Per layer, the scores (K,) of its masks and how many of each image were scored (B,)."""
        mask_sets = [MaskSet(one.masks.values, one.owners) for one in selections]
        counts = [one.selected.sum(dim=1) for one in selections]
        if self.evidence == "none":
            return scorer(mask_sets), [torch.zeros_like(count) for count in counts]
        if self.budget is None:
            return scorer(mask_sets), counts
        estimate = Estimate(mask_sets, len(counts[0]), size)
        if self.budget == "auto":
            settle(estimate, scorer, lambda scores: fuse(visualized(scores), self.fusion))
        else:
            masks = affordable(self.evidence, self.budget - spent)
            estimate.score(scorer, torch.full_like(estimate.masks, masks))
        return estimate.scores(), estimate.scored


def _check_affordable(budget: Budget, context: Context | None) -> None:
    if budget == 1 and context is not None:
        raise SiseError("budget=1 leaves no pass for the context; give at least 2, or no context")


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
