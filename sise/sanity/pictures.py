"""The experiment in two pictures: curves of similarity, and a grid of maps (figure 10)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from sise.bundle import ModelCard
from sise.evaluation.subject import Subject
from sise.images import write_whole
from sise.overlay import overlay
from sise.sanity.run import OTHER_IMAGE, UNTRAINED, Experiment
from sise.sanity.similarity import MEASURES

# Okabe and Ito: eight colours that colour-blind readers tell apart.
_COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442",
)  # fmt: skip
_CELL = 1.15
"""Inches."""


def draw_curves(path: Path, summary: pd.DataFrame, titles: Mapping[str, str]) -> None:
    """Each deciding measure against the step: a line a method with its interval, floor dashed."""
    shown = [name for name, measure in MEASURES.items() if measure.decides]
    figure = Figure(figsize=(6.4 * len(shown), 5.2), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(shown)))
    for panel, name in zip(axes, shown, strict=True):
        _draw_measure(panel, summary[summary["measure"] == name], titles)
        panel.set_title(f"{MEASURES[name].title} with the trained model's map")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)))
    write_whole(path, lambda temporary: figure.savefig(temporary, dpi=110, format="png"))


def _draw_measure(panel: Axes, summary: pd.DataFrame, titles: Mapping[str, str]) -> None:
    cascade = bool((summary["kind"] == "cascading").any())
    stages: Sequence[str] = []
    for index, (text, title) in enumerate(titles.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        of = summary[summary["method"] == text]
        steps = of[of["kind"].isin(["cascading", "independent"])].sort_values("step")
        stages = list(steps["stage"])
        x = np.arange(1, len(steps) + 1)
        line = np.concatenate([[1.0], steps["mean"]]) if cascade else steps["mean"].to_numpy()
        panel.plot(
            np.arange(len(line)) + (not cascade), line, color=colour, marker=".", label=title
        )
        panel.fill_between(
            x, steps["low"].to_numpy(), steps["high"].to_numpy(), color=colour, alpha=0.18, lw=0
        )
        for floor in of[of["kind"] == OTHER_IMAGE]["mean"]:
            panel.axhline(floor, color=colour, linestyle="--", linewidth=1)
        for final in of[of["kind"] == UNTRAINED]["mean"]:
            panel.plot(len(stages) + 0.6, final, color=colour, marker="D", clip_on=False)
    ticks = ["trained", *stages] if cascade else stages
    panel.set_xticks(np.arange(len(ticks)) + (not cascade), ticks, rotation=60, ha="right")
    panel.set_xlabel("weights drawn anew, " + ("down to" if cascade else "of this alone"))
    panel.set_ylim(top=1.03)
    panel.grid(alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)
    panel.plot([], [], color="grey", linestyle="--", label="maps of other images of the class")
    panel.plot([], [], color="grey", marker="D", linestyle="", label="untrained nets, all seeds")


def draw_grid(path: Path, experiment: Experiment, subjects: Sequence[Subject]) -> None:
    """A row for each method and subject: the image, the original map, and that of each step."""
    states = [*experiment.steps, *([] if _cascades(experiment) else experiment.untrained[:1])]
    names = ["image", "trained", *(state.stage for state in states)]
    specs = experiment.plan.specs
    rows = len(specs) * len(subjects)
    figure = Figure(
        figsize=(_CELL * len(names) + 1.2, _CELL * rows + 1.0),
        layout=ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0),
    )
    axes = figure.subplots(rows, len(names), squeeze=False)
    for row, (spec, subject) in enumerate((one, two) for one in specs for two in subjects):
        image = pixels_of(subject, experiment.bundle.card)
        maps = [experiment.map(spec, subject, state).map for state in (None, *states)]
        pictures = [image, *(overlay(image, values.numpy()) for values in maps)]
        for panel, picture in zip(axes[row], pictures, strict=True):
            panel.imshow(picture)
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set_visible(False)
        label = experiment.dataset.classes[subject.item.label]
        axes[row, 0].set_ylabel(label, fontsize=8)
        if subject is subjects[0]:
            axes[row, 1].set_title(spec.title, loc="left", fontsize=8, fontweight="bold")
    for panel, name in zip(axes[-1], names, strict=True):
        panel.set_xlabel(name.replace(" to ", "\nto "), fontsize=7, rotation=35, ha="right")
    write_whole(path, lambda temporary: figure.savefig(temporary, dpi=110, format="png"))


def pixels_of(subject: Subject, card: ModelCard) -> npt.NDArray[np.uint8]:
    """The subject's image as the model sees it, (H, W, 3) uint8 RGB."""
    normalised = subject.image.cpu().permute(1, 2, 0).numpy()
    scaled = normalised * np.array(card.std) + np.array(card.mean)
    return np.asarray(np.rint(np.clip(scaled, 0, 1) * 255), dtype=np.uint8)


def _cascades(experiment: Experiment) -> bool:
    return experiment.plan.mode == "cascading"
