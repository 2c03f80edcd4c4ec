"""What a run is asked for: each setting once, with its option, and how the report speaks of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_type_hints

from inspection.words import word
from sise.choices import Continuation, Evidence, FillName, Fusion
from sise.presets import BUDGET, CONTEXT, EVIDENCE, FILL, FUSION

if TYPE_CHECKING:
    Positive = int
else:
    from jsonargparse.typing import PositiveInt as Positive

StripPictures = Literal["all", "explained"]
ExplainWhich = Literal["all", "flagged"]
FailOn = Literal["hold", "rework", "scrap", "any"]
DeviceName = Literal["auto", "cpu", "cuda"]
PrecisionName = Literal["auto", "fp32", "bf16"]
BackendName = Literal["auto", "torch", "openvino"]
By = Literal["strip", "coil", "side", "shift"]
EngineName = Literal["local", "ray"]


@dataclass(frozen=True)
class Setting:
    """What there is to say of a setting: the `help` of its option; whether batch.json's `config`
    has it; its `label` in the report's identity block, "" for a line that more goes into; and its
    value in words, None where the value says it."""

    help: str
    recorded: bool = True
    label: str = ""
    words: Mapping[Any, str] | Callable[[Any], str] | None = None

    def said(self, value: Any) -> str:
        """A value in words."""
        if self.words is None:
            return str(value)
        return self.words(value) if callable(self.words) else self.words[value]


def _budget(budget: int | Literal["auto"] | None) -> str:
    if budget is None:
        return "exact, every mask scored"
    if budget == "auto":
        return "masks scored until the map has settled"
    return f"at most {budget} forward passes per patch, other scores estimated"


@dataclass(frozen=True)
class Inspected:
    """What is inspected, by which model and rules. `stride` is seven eighths of a patch where it
    is None, `policy` the packaged one."""

    bundle: Annotated[Path, Setting("folder of the model bundle", recorded=False)]
    batch: Annotated[Path, Setting("folder of strip images", recorded=False)]
    out: Annotated[Path, Setting("folder to write the report to", recorded=False)]
    explain: Annotated[
        ExplainWhich,
        Setting(
            "which patches get a SISE map",
            label=word("Explained"),
            words={"all": word("every patch"), "flagged": word("flagged patches")},
        ),
    ] = "flagged"
    policy: Annotated[
        Path | None,
        Setting(
            "YAML file of thresholds and disposition rules; the packaged one if left out",
            recorded=False,
        ),
    ] = None
    stride: Annotated[
        Positive | None,
        Setting("px between patches, at most a patch (default: seven eighths of one)"),
    ] = None
    precision: Annotated[
        PrecisionName, Setting("of the forward passes; auto is bf16 where the hardware has it")
    ] = "auto"
    device: Annotated[
        DeviceName, Setting("where the model runs; auto is the GPU if there is one")
    ] = "auto"
    batch_size: Annotated[
        Literal["auto"] | Positive, Setting("patches, and masked patches, per forward pass")
    ] = "auto"


@dataclass(frozen=True)
class SiseOptions:
    """How patches are explained; `sise.SISE` has what each option means.

    Unlike the library, inspection explains under a budget (docs/budget.md).
    """

    budget: Annotated[
        Literal["auto"] | Positive | None,
        Setting(
            "forward passes per explained patch, at most; auto: until its map has settled; "
            "null: SISE as in the paper, thousands for a deep network",
            words=_budget,
        ),
    ] = BUDGET
    fill: Annotated[
        FillName,
        Setting(
            "what masked-out pixels become, in explaining and in measuring",
            words={
                "grey": word("mean grey (0 in the model's normalised input)"),
                "mean": word("the patch's own mean"),
                "blur": word("the patch, blurred"),
                "inpaint": word("what the remaining pixels suggest (inpainting)"),
            },
        ),
    ] = FILL
    context: Annotated[
        Continuation | None,
        Setting(
            "how the steel goes on around a patch while its masks are made, so that its border "
            "is none to the network; null: it does not, as in the paper"
        ),
    ] = CONTEXT
    evidence: Annotated[
        Evidence,
        Setting(
            "what a mask is worth: the class's probability when only its part of the patch is "
            "kept, or what the class loses when that is removed; both: their mean, two passes a "
            "mask; none: all masks count alike",
            words={
                "kept": "the probability of the class when only its part of the patch is kept",
                "removed": "what the class loses when its part of the patch is removed",
                "both": "the mean of what the class keeps by its part of the patch and loses "
                "without it",
                "none": "the same for all masks",
            },
        ),
    ] = EVIDENCE
    fusion: Annotated[
        Fusion,
        Setting(
            "how the network's layers become one map: hard, the paper's; soft, its authors' later "
            "code; geometric: a pixel counts where all layers agree"
        ),
    ] = FUSION


@dataclass(frozen=True)
class Settings(SiseOptions, Inspected):
    """All that a run is asked for, in the order of the command's options."""

    backend: Annotated[
        BackendName,
        Setting(
            "what classifies patches, and scores them masked; auto is OpenVINO on a processor if "
            "it is installed"
        ),
    ] = "auto"
    runner_up: Annotated[
        bool,
        Setting(
            "explain the second most probable class of each explained patch, too, which takes "
            "as many passes again",
            label=word("Second most likely class"),
            words={
                True: word("explained, too"),
                False: word("not explained"),
            },
        ),
    ] = True
    strip_pictures: Annotated[
        StripPictures,
        Setting(
            "which strips the report keeps at full size, some 100 kB each (docs/scale.md); of the "
            "others it has a thumbnail",
            label="Strips at full size",
            words={"all": "all that were inspected", "explained": "those with an explained patch"},
        ),
    ] = "all"
    mm_per_px: Annotated[
        float | None,
        Setting(
            "size of a pixel in mm, along the strip and across, so that the report tells lengths",
            label=word("Size of a pixel"),
            words=lambda size: f"{size:g} mm" if size else word("not given"),
        ),
    ] = None
    jobs: Annotated[
        Positive,
        Setting(
            "processes that share the work on this machine, each with a model of its own",
            recorded=False,
        ),
    ] = 1
    engine: Annotated[
        EngineName,
        Setting(
            "who does the work: this machine, or a Ray cluster; the results are the same",
            recorded=False,
        ),
    ] = "local"
    ray_address: Annotated[
        str | None,
        Setting(
            "the cluster, HOST:PORT, or auto for that of this machine (default: RAY_ADDRESS, or "
            "one of --jobs processors that is started here)",
            recorded=False,
        ),
    ] = None
    fail_on: Annotated[
        FailOn | None,
        Setting(
            "exit with 3 if a rule proposes this disposition for a strip; any: other than accept"
        ),
    ] = None
    truth: Annotated[
        Path | None,
        Setting(
            "CSV file of true masks, in either of Severstal's layouts, to hold the batch against"
        ),
    ] = None
    earlier: Annotated[
        tuple[Path, ...],
        Setting("folders of earlier reports by the same model, for the control chart"),
    ] = ()
    by: Annotated[
        By, Setting("what a point of the control chart is; side and shift by the coil's file")
    ] = "strip"
    language: Annotated[
        str,
        Setting(
            "language of the page: en, de; tables and files stay English", label=word("Language")
        ),
    ] = "en"

    @property
    def sise(self) -> SiseOptions:
        """Those of how patches are explained, alone."""
        return SiseOptions(**{one.name: getattr(self, one.name) for one in fields(SiseOptions)})


SETTINGS: Mapping[str, Setting] = {
    name: get_args(hint)[1] for name, hint in get_type_hints(Settings, include_extras=True).items()
}
"""What there is to say of each setting, in the order of the command's options."""

INSPECTING = tuple(
    name
    for name in SETTINGS
    if name
    not in (
        "bundle",
        "batch",
        "out",
        "jobs",
        "engine",
        "ray_address",
        "fail_on",
        "truth",
        "earlier",
        "by",
        "language",
    )
)
"""The settings of how strips are judged and explained."""
