"""`defect-train` in which something happens, for tests that start it as a process of its own.

SPOIL is JSON: {"how": …, "epoch": …, "batch": …, "process": …}, counted from 0. SEEN is a folder:
each process writes there which crops it reads, in a file named by its rank.
"""

import json
import os
import signal
from pathlib import Path
from typing import Any

import torch

from training.__main__ import main
from training.classifier import DefectClassifier
from training.data import CropDataset
from training.errors import DataError

PROCESS = int(os.environ.get("LOCAL_RANK", 0))
SPOIL: dict[str, Any] = json.loads(os.environ.get("SPOIL", "{}"))

read, step = CropDataset.__getitem__, DefectClassifier.training_step
write = Path.write_bytes
saved = []


def noted(self: CropDataset, item: Any) -> Any:
    split = self.crops.paths[0].parent.parent.name
    with (Path(os.environ["SEEN"]) / f"{PROCESS}.txt").open("a") as stream:
        print(split, getattr(item, "crop", item), file=stream)
    return read(self, item)


def spoilt(self: DefectClassifier, batch: Any, index: int) -> Any:
    place = {"epoch": self.current_epoch, "batch": index, "process": PROCESS}
    if {**SPOIL, **place} == SPOIL:
        match SPOIL["how"]:
            case "nan":
                self.loss = lambda *_: torch.tensor(torch.nan, requires_grad=True)
            case "error":
                raise DataError("crops/7.png: cannot be read")
            case name:
                os.kill(os.getpid(), getattr(signal, name))
    return step(self, batch, index)


def half(self: Path, content: Any) -> int:
    """Be killed in the middle of writing the checkpoint of this number."""
    saved.extend([self] * self.name.endswith(".ckpt.partial"))
    if len(saved) == SPOIL["checkpoint"]:
        write(self, content[: len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    return write(self, content)


if __name__ == "__main__":
    if "SEEN" in os.environ:
        CropDataset.__getitem__ = noted
    if "epoch" in SPOIL:
        DefectClassifier.training_step = spoilt
    if "checkpoint" in SPOIL:
        Path.write_bytes = half
    raise SystemExit(main())
