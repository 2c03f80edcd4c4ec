"""A small Kaggle folder of synthetic strips, drawn here and known to the last pixel."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from severstal_prep import overview
from severstal_prep.build import Request
from severstal_prep.images import write_jpeg
from severstal_prep.recast import Rules

HEIGHT, WIDTH = 256, 1600


def box(left: int, top: int, width: int, height: int) -> str:
    """Run lengths of a filled box, written column by column without the code under test."""
    return " ".join(f"{(left + x) * HEIGHT + top + 1} {height}" for x in range(width))


def texture(seed: int) -> npt.NDArray[np.uint8]:
    """A strip (256, 1600, 3) unlike that of any other seed, nowhere darker than 60."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(70, 200, (8, 50))
    strip = np.kron(coarse, np.ones((32, 32))) + rng.normal(0, 3, (HEIGHT, WIDTH))
    return np.repeat(strip.clip(60, 255).astype(np.uint8)[..., None], 3, axis=2)


@dataclass
class KaggleFolder:
    """A label file and a folder of strips, to be filled by a test."""

    root: Path
    rows: list[str] = field(default_factory=list)
    heading: str = "ImageId,ClassId,EncodedPixels"

    @property
    def csv(self) -> Path:
        return self.root / "train.csv"

    @property
    def images(self) -> Path:
        return self.root / "train_images"

    def add_strip(
        self, name: str, labels: Iterable[tuple[int, str]] = (), black_from: int | None = None
    ) -> Path:
        """Add a strip with its label rows; from column `black_from` on it is black."""
        pixels = texture(sum(name.encode()) * 1000 + len(name))
        if black_from is not None:
            pixels[:, black_from:] = 2
        path = self.images / name
        write_jpeg(path, pixels)
        for class_id, runs in labels:
            self.rows.append(f"{name},{class_id},{runs}")
        self.write()
        return path

    def write(self) -> None:
        self.csv.write_text("\n".join([self.heading, *self.rows]) + "\n", "utf-8")


@pytest.fixture
def kaggle(tmp_path: Path) -> KaggleFolder:
    """An empty Kaggle folder, in a path with a space and Cyrillic letters."""
    folder = KaggleFolder(tmp_path / "тест dir")
    folder.images.mkdir(parents=True)
    folder.write()
    return folder


@pytest.fixture
def seven_strips(kaggle: KaggleFolder) -> KaggleFolder:
    """Four strips of one class each, one of two classes, one half black, one without label.

    By hand, at offset 32 (crops 32-287, 288-543, 544-799, 800-1055, 1056-1311, 1312-1567):
    a: class 1 in crops 0 and 1 (a box across 288); b: class 2 in crop 2; c: class 3 in all
    six; d: class 4 in crop 5 and, by one pixel column, crop 4; e: classes 1 and 3 in crops 0
    and 3; f: class 3 in crop 0, black from 800 on, so crops 3 to 5; g: no label.
    """
    kaggle.add_strip("a.jpg", [(1, box(278, 10, 20, 5))])
    kaggle.add_strip("b.jpg", [(2, box(600, 0, 4, 256))])
    kaggle.add_strip("c.jpg", [(3, box(0, 100, 1600, 8))])
    kaggle.add_strip("d.jpg", [(4, box(1311, 50, 30, 40))])
    kaggle.add_strip("e.jpg", [(1, box(40, 5, 6, 6)), (3, box(900, 20, 50, 50))])
    kaggle.add_strip("f.jpg", [(3, box(100, 30, 9, 9))], black_from=800)
    kaggle.add_strip("g.jpg")
    return kaggle


@pytest.fixture
def quick_overview(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a stand-in for the overview, which takes a second to draw, where no test looks at it."""
    if "overview" not in request.node.name:

        def write_overview(path: Path, *args: object) -> None:
            path.write_bytes(b"picture")

        monkeypatch.setattr(overview, "write_overview", write_overview)


@pytest.fixture
def request_seven(seven_strips: KaggleFolder, tmp_path: Path, quick_overview: None) -> Request:
    return Request(seven_strips.csv, seven_strips.images, tmp_path / "выход dir", Rules())
