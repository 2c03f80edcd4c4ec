"""What a checkpoint says of its classifier, enough to rebuild it without its training."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import FiniteFloat

from severstal_prep.checked import checked

if TYPE_CHECKING:
    from training.data import RecastDataModule

KEY = "steel_sise_classifier"


@dataclass(frozen=True)
class Blueprint:
    """Architecture, classes and preprocessing of a classifier, and the data it learned from.

    `input_size` is (H, W) in px; `mean` and `std` per channel are those of images scaled to
    [0, 1]; `dataset` names the recast dataset: its card's SHA-256, its split rule and seed, in
    which options it differs from the paper's recipe, its crops per split and class, and, if
    crops were masked, how.
    `transform_input` and `channels` are those of `sise.architectures.build_network`. `recipe` is
    how it was trained, as `training.recipes.essentials` has it.
    """

    architecture: str
    classes: tuple[str, ...]
    input_size: tuple[int, int]
    mean: tuple[FiniteFloat, FiniteFloat, FiniteFloat]
    std: tuple[FiniteFloat, FiniteFloat, FiniteFloat]
    dataset: Mapping[str, Any]
    transform_input: bool = False
    channels: Literal[1, 3] = 3
    recipe: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        architecture: str,
        data: "RecastDataModule",
        transform_input: bool = False,
        channels: Literal[1, 3] = 3,
        recipe: Mapping[str, Any] | None = None,
    ) -> "Blueprint":
        """The blueprint of a classifier about to learn from `data`, which was set up."""
        recast = data.recast
        return cls(
            architecture=architecture,
            classes=recast.classes,
            input_size=data.input_size,
            mean=data.mean,
            std=data.std,
            dataset={
                "card_sha256": recast.sha256,
                "split": recast.split_rule,
                "seed": recast.card["settings"]["seed"],
                "differs_from_recipe": recast.card["differs_from_recipe"],
                "counts": {split: list(recast.counts(split)) for split in ("train", "val", "test")},
                **data.masking.record(),
            },
            transform_input=transform_input,
            channels=channels,
            recipe=recipe or {},
        )

    def write_to(self, checkpoint: dict[str, Any]) -> None:
        """Enter the blueprint into a Lightning checkpoint, as plain values."""
        checkpoint[KEY] = asdict(self)

    @classmethod
    def read_from(cls, checkpoint: Mapping[str, Any]) -> "Blueprint":
        """The blueprint in a checkpoint.

        Raises KeyError or TypeError if there is none, ValueError naming an entry at fault.
        """
        return checked(cls, checkpoint[KEY])
