"""The run folder: what lies in it, and whether a run there can start, go on or has finished.

config.yaml             the resolved configuration
run.json                the dataset, versions, device and precision; what ended the run early
checkpoints/best.ckpt   by the recipe's monitor
checkpoints/last.ckpt   after the last finished epoch; resuming starts here
logs/version_N/         metrics.csv and TensorBoard's events, one folder per start
bundle/                 written last: it says that the run is finished
"""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from lightning_fabric.plugins import TorchCheckpointIO
from pytorch_lightning.callbacks import ModelCheckpoint

from severstal_prep.alone import unused
from severstal_prep.checked import checked, read_json, read_yaml
from severstal_prep.files import replacing
from training.errors import RunFolderError

PATHS_IN_CHECKPOINT_STATE = ("best_model_path", "kth_best_model_path", "last_model_path")

CURE = "give another --out, or remove the folder"

State = Literal["new", "interrupted", "finished"]

WITHOUT_EFFECT = (
    "out",
    "config",
    "tune",
    "data.root",
    "data.num_workers",
    "data.cache",
    "data.cache_dir",
)
"""Options that may differ when a run is resumed: where things lie, and how fast they go."""


@dataclass(frozen=True)
class RunFolder:
    """Paths in a run folder."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def record(self) -> Path:
        return self.path / "run.json"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        return self.checkpoints / "best.ckpt"

    @property
    def last(self) -> Path:
        return self.checkpoints / "last.ckpt"

    @property
    def bundle(self) -> Path:
        return self.path / "bundle"

    def state(self, config: Mapping[str, Any], dataset_sha256: str) -> State:
        """What to do for a run of this configuration on this dataset.

        A start that trained no epoch is no obstacle. Raises RunFolderError if the folder holds
        another run, one that diverged, which it would do again, or something else.
        """
        if unused(self.path):
            return "new"
        earlier, record = self._earlier_start()
        earlier_dataset, diverged = record["dataset_card_sha256"], record.get("diverged")
        finished = (self.bundle / "model.json").is_file()
        if not finished and not self.last.is_file():
            return "new"
        difference = first_difference(earlier, config)
        if difference:
            raise RunFolderError(f"{self.path}: holds a run with {difference}; {CURE}")
        if earlier_dataset != dataset_sha256:
            raise RunFolderError(f"{self.path}: holds a run on another dataset; {CURE}")
        if diverged and not finished:
            raise RunFolderError(f"{self.path}: this run diverged at {diverged}")
        return "finished" if finished else "interrupted"

    def progress(self) -> State:
        """The same without a look at what else lies there: for processes that follow the first,
        which looks, and may be writing there."""
        if (self.bundle / "model.json").is_file():
            return "finished"
        return "interrupted" if self.last.is_file() else "new"

    def start(self, config: str, record: Mapping[str, Any]) -> None:
        """Write the configuration (YAML text) and the record, making the folder."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.note(record)
        with replacing(self.config) as temporary:
            temporary.write_text(config, "utf-8")

    def note(self, record: Mapping[str, Any]) -> None:
        """Write the record anew."""
        with replacing(self.record) as temporary:
            text = json.dumps(record, indent=2, allow_nan=False) + "\n"
            temporary.write_text(text, "utf-8")

    def _earlier_start(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Configuration and record of the run that began here."""
        try:
            config = checked(dict[str, Any], read_yaml(self.config))
            record = checked(dict[str, Any], read_json(self.record))
            checked(str, record.get("dataset_card_sha256"))
            return config, record
        except (OSError, ValueError) as error:
            raise RunFolderError(
                f"{self.path}: not empty, and no run of defect-train fit; {CURE}"
            ) from error


def first_difference(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """The first option, by name, whose value decides the result and differs; None if none."""
    old, new = dict(_flat(earlier)), dict(_flat(now))
    for name in sorted(old.keys() | new.keys()):
        decisive = not any(name == key or name.startswith(f"{key}.") for key in WITHOUT_EFFECT)
        if decisive and old.get(name) != new.get(name):
            return f"{name} = {old.get(name)}, not {new.get(name)}"
    return None


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


class CheckpointFiles(TorchCheckpointIO):
    """Checkpoints that are there completely or not at all, whenever the process is killed.

    Lightning writes them in the folder for temporary files, and from there copies them.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write `checkpoint` to the file `path`."""
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()  # PyTorch's own writer does not say why it could not write
        torch.save(checkpoint, content)
        with replacing(file) as temporary:
            temporary.write_bytes(content.getbuffer())


class RunCheckpoint(ModelCheckpoint):
    """Keeps one checkpoint file: of the best epoch by `monitor`, or of the last one.

    Unlike its base, it does not mind that the run folder was moved since.
    """

    def __init__(self, file: Path, monitor: str | None = None, mode: str = "min") -> None:
        super().__init__(
            dirpath=file.parent,
            filename=file.stem,
            monitor=monitor,
            mode=mode,
            auto_insert_metric_name=False,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        def here(path: str) -> str:
            return str(Path(str(self.dirpath)) / Path(path).name) if path else ""

        moved = {name: here(state_dict[name]) for name in PATHS_IN_CHECKPOINT_STATE}
        kept = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict(
            {**state_dict, **moved, "best_k_models": kept, "dirpath": self.dirpath}
        )
