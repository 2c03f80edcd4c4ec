"""From a checkpoint to a model bundle: calibrate and evaluate on validation crops, write.

`fit` ends so, and `defect-train export` does nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import softmax

from severstal_prep.checked import checked
from severstal_prep.recast import NORMAL_NAME
from sise import bundle
from sise.devices import choose_device
from sise.precision import Precision
from sise.progress import note, track
from training.answers import Answers
from training.calibration import Floats, fit_temperature
from training.checkpoint import Checkpoint, read_checkpoint
from training.costs import resolve_costs
from training.crops import Crops, check_classes, read_recast
from training.data import CropDataset, crop_loader
from training.decision import DEFAULT_THRESHOLD
from training.decision_pictures import draw
from training.errors import RecipeError, TrainingError
from training.evaluate import Evaluation, evaluate, predict
from training.judgement import DecisionOptions, Judgement, judge_validation
from training.judgement_text import in_words
from training.resources import memory_explained
from training.risk_coverage import DEFAULT_RISK

QUANTILES = 201
"""At 0, 0.5, …, 100 %."""


@dataclass(frozen=True)
class Validation:
    """What the validation crops say: the temperature, and results before and after it.

    `confidence` (QUANTILES,) are the quantiles of the calibrated probability of each crop's most
    probable class, ascending in [0, 1]. `judgement` is of the calibrated answers.
    """

    temperature: float
    before: Evaluation
    after: Evaluation
    confidence: tuple[float, ...]
    judgement: Judgement


def export(
    checkpoint: Path,
    out: Path,
    root: Path | None,
    thresholds: Mapping[str, float],
    precision: Precision = "auto",
    batch_size: int = 64,
    num_workers: int | None = None,
    costs: Mapping[str, float] | None = None,
    risk: float | None = None,
) -> bundle.ModelBundle:
    """Write the bundle of a checkpoint file; calibrated on the dataset at `root`, if given.

    Raises CheckpointError, DatasetError, DataError and RecipeError (thresholds, costs, risk).
    """
    read = read_checkpoint(checkpoint)
    options = decision_options(thresholds, costs, risk, read.blueprint.classes)
    if root is None and not (costs is None and risk is None):
        raise RecipeError("costs and risk need validation crops to choose on; give --data.root")
    validation = None
    if root is not None:
        recast, device = read_recast(root), choose_device("auto")
        check_classes(checkpoint, read.blueprint.classes, recast)
        crops = recast.crops("val")
        with memory_explained("--batch-size", "--num-workers"):
            validation = validate(read, crops, device, precision, batch_size, num_workers, options)
    return write_bundle(out, read, validation, thresholds)


def validate(
    checkpoint: Checkpoint,
    crops: Crops,
    device: torch.device,
    precision: Precision = "auto",
    batch_size: int = 64,
    num_workers: int | None = 0,
    options: DecisionOptions = DecisionOptions(),  # noqa: B008 frozen
) -> Validation:
    """Fit the temperature on `crops`, evaluate them before and after it, and decide by them."""
    loader = crop_loader(CropDataset(crops), batch_size, num_workers)
    batches = track(loader, len(loader), "calibrate on validation crops")
    plan = checkpoint.blueprint
    network = checkpoint.network.to(device)
    logits, labels = predict(network, plan.mean, plan.std, batches, precision)
    temperature = fit_temperature(logits, labels)
    calibrated = logits / temperature
    answers = Answers.of(calibrated, labels, crops.groups, plan.classes)
    return Validation(
        temperature,
        evaluate(logits, labels, plan.classes),
        evaluate(calibrated, labels, plan.classes),
        confidence_quantiles(calibrated),
        judge_validation(answers, options),
    )


def confidence_quantiles(logits: Floats) -> tuple[float, ...]:
    """Quantiles (QUANTILES,) of the largest softmax of each of the logits (N, C), N at least 1.

    Rounded to 6 digits, ascending in [0, 1].
    """
    confidence = softmax(logits, axis=1).max(axis=1)
    quantiles = np.quantile(confidence, np.linspace(0, 1, QUANTILES)).round(6).clip(0, 1)
    # Interpolated between equal values, a quantile may fall below the one before by an ulp.
    ascending: list[float] = np.maximum.accumulate(quantiles).tolist()
    return tuple(ascending)


def write_bundle(
    folder: Path,
    checkpoint: Checkpoint,
    validation: Validation | None,
    thresholds: Mapping[str, float],
    ended_early: str = "",
) -> bundle.ModelBundle:
    """Write the model bundle of a checkpoint; without a validation its temperature is 1.

    `thresholds` are those given, which the validation's own choice by costs keeps. Its pictures go
    into the bundle, too. `ended_early` tells where and why the training ended before its last
    epoch.
    """
    early = {"ended_early": ended_early} if ended_early else {}
    plan = checkpoint.blueprint
    judgement = None if validation is None else validation.judgement
    decision = None if judgement is None else judgement.decision
    card = bundle.ModelCard(
        architecture=plan.architecture,
        classes=plan.classes,
        input_size=plan.input_size,
        mean=plan.mean,
        std=plan.std,
        temperature=1.0 if validation is None else validation.temperature,
        thresholds=complete_thresholds(thresholds, plan.classes)
        if decision is None
        else decision.thresholds,
        dataset=plan.dataset,
        metrics={"epoch": checkpoint.epoch}
        | early
        | ({"recipe": dict(plan.recipe)} if plan.recipe else {})
        | ({} if validation is None else metrics(validation)),
    )
    draw(folder, judgement)
    for line in () if judgement is None else in_words(judgement):
        note(line)
    return bundle.save(folder, card, checkpoint.network)


def metrics(validation: Validation) -> dict[str, Any]:
    """What the bundle's card says of the validation split.

    `confidence` is what inspection compares the scores of a batch with (docs/quality.md).
    """
    after = validation.after
    return {
        "split": "val",
        "crops": after.crops,
        "class_crops": {result.name: result.crops for result in after.classes},
        "top1": after.top1,
        "top1_interval": after.top1_interval,
        "top3": after.top3,
        "macro_recall": after.macro_recall,
        "macro_recall_interval": after.macro_recall_interval,
        "majority": after.majority,
        "recall": {result.name: result.recall for result in after.classes},
        "recall_interval": {result.name: result.recall_interval for result in after.classes},
        "ece_before_temperature": validation.before.ece,
        "ece": after.ece,
        "confidence": {
            "split": "val",
            "crops": after.crops,
            "quantiles": list(validation.confidence),
        },
        **validation.judgement.as_dict(),
    }


def complete_thresholds(chosen: Mapping[str, float], classes: Sequence[str]) -> dict[str, float]:
    """A threshold for each of the `classes` but "normal", 0.5 unless chosen.

    Raises RecipeError for a name that is no defect class, or a value outside (0, 1].
    """
    defects = [name for name in classes if name != NORMAL_NAME]
    for name, value in chosen.items():
        if name not in defects:
            raise RecipeError(
                f"thresholds: {name!r} is no defect class; one of {', '.join(defects)}"
            )
        if not 0 < value <= 1:
            raise RecipeError(f"thresholds: {name} must be above 0 and at most 1, not {value}")
    return dict.fromkeys(defects, DEFAULT_THRESHOLD) | dict(chosen)


def decision_options(
    thresholds: Mapping[str, float],
    costs: Mapping[str, float] | None,
    risk: float | None,
    classes: Sequence[str],
) -> DecisionOptions:
    """What is given of thresholds, costs and the error allowed; None is left to its default.

    Raises RecipeError as `complete_thresholds` and `resolve_costs`, and for a risk outside (0, 1).
    """
    complete_thresholds(thresholds, classes)
    if risk is not None and not 0 < risk < 1:
        raise RecipeError(f"risk: a share of wrong decisions, above 0 and below 1, not {risk:g}")
    return DecisionOptions(
        dict(thresholds),
        None if costs is None else resolve_costs(costs, classes),
        DEFAULT_RISK if risk is None else risk,
    )


_FIGURES = ("top1", "majority", "macro_recall", "ece_before_temperature", "ece")


def metrics_line(card: bundle.ModelCard) -> str:
    """The card's validation results in one line, "not evaluated" without them.

    Raises TrainingError, naming the figure, if they are none of `write_bundle`.
    """
    figures = card.metrics
    if "top1" not in figures:
        return "not evaluated, temperature 1"
    try:
        checked(dict[str, float], {name: figures[name] for name in _FIGURES})
        checked(dict[str, int], {name: figures[name] for name in ("crops", "epoch")})
    except KeyError as error:
        raise TrainingError(f"the bundle's card: metrics, {error.args[0]}: is missing") from error
    except ValueError as error:
        raise TrainingError(f"the bundle's card: metrics, {error}") from error
    return (
        f"validation: {figures['crops']} crops, top-1 {figures['top1']:.3f} "
        f"(majority class alone {figures['majority']:.3f}), "
        f"macro recall {figures['macro_recall']:.3f}, "
        f"ECE {figures['ece_before_temperature']:.3f} -> {figures['ece']:.3f} "
        f"at temperature {card.temperature:.2f}; epoch {figures['epoch']}"
        + (f"; training ended early, {figures['ended_early']}" if "ended_early" in figures else "")
    )
