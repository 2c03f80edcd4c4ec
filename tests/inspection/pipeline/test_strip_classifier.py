from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from toys import CLASSES, lively_network, needs_openvino, strip, toy_classifier

from inspection.errors import ModelError
from inspection.pipeline.classifier import (
    BackendName,
    Classifier,
    PrecisionName,
    StripClassifier,
    load_classifier,
    probabilities,
    resolve_backend,
)
from inspection.pipeline.policy import PolicyFile, flag
from inspection.pipeline.strips import ReadStrip, StripFile
from sise import bundle as bundles
from sise.errors import BundleError, SiseError

CARD = bundles.ModelCard(
    architecture="shufflenet_v2_x0_5",
    classes=CLASSES,
    input_size=(256, 256),
    mean=(0.4, 0.4, 0.4),
    std=(0.2, 0.2, 0.2),
)


def save(folder: Path, card: bundles.ModelCard) -> Path:
    bundles.save(folder, card, bundles.build_network(card.architecture, len(card.classes)))
    return folder


def classify(classifier: Classifier, *pixels: np.ndarray, stride: int = 224) -> pd.DataFrame:
    strips = [
        ReadStrip(StripFile(f"{number}.png", "", Path(), str(number), 1), image)
        for number, image in enumerate(pixels)
    ]
    return StripClassifier(classifier, stride)(strips)


def test_a_strip_is_covered_completely_and_every_patch_is_a_row() -> None:
    rows = classify(toy_classifier(), strip(1600, bright=[1500]), strip(256))
    lefts = [0, 224, 448, 672, 896, 1120, 1344]
    assert rows["left"].tolist() == [*lefts, 0]
    assert rows["strip_sha256"].tolist() == ["0"] * 7 + ["1"]
    assert rows["width"].tolist() == [1600] * 7 + [256]
    # Only the last patch of the first strip sees the bright square, which is 1/16 of it.
    logits = np.array([2, 2.5, 0, 0, 0])
    expected = np.exp(logits) / np.exp(logits).sum()
    columns = ["p_normal", "p_class_1", "p_class_2", "p_class_3", "p_class_4"]
    np.testing.assert_allclose(rows.loc[6, columns].to_numpy(float), expected, atol=1e-6)
    plain = np.exp([2, 0, 0, 0, 0]) / np.exp([2, 0, 0, 0, 0]).sum()
    np.testing.assert_allclose(rows.loc[5, columns].to_numpy(float), plain, atol=1e-6)


def test_a_strip_that_could_not_be_read_gives_no_rows() -> None:
    lost = ReadStrip(StripFile("a.png", "", Path(), "a", 1), None, "there is no such file")
    assert StripClassifier(toy_classifier(), 224)([lost]).empty


def test_the_share_of_black_pixels_is_measured() -> None:
    dark = strip(256, black=[0])
    dark[:16] = 14  # the darkest grey that is no steel
    dark[16:32] = 15
    rows = classify(toy_classifier(), dark)
    assert rows["black_fraction"].tolist() == [1 / 16 + 1 / 16]


def test_no_strips_give_no_rows_but_all_columns() -> None:
    rows = classify(toy_classifier())
    assert len(rows) == 0
    assert list(rows.columns) == list(classify(toy_classifier(), strip(256)))


BACKENDS = ["torch", pytest.param("openvino", marks=needs_openvino)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_tiles_probabilities_do_not_depend_on_its_company(
    backend: BackendName, tmp_path: Path
) -> None:
    bundles.save(tmp_path / "b", CARD, lively_network())
    classifier = load_classifier(tmp_path / "b", "cpu", "auto", 4, backend)
    tiles = list(np.random.default_rng(0).integers(0, 256, (6, 256, 256, 3), np.uint8))
    together = probabilities(tiles, classifier)
    assert together.shape == (6, 5)
    assert len(np.unique(together[:, 0])) == 6
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-5)
    for first in (1, 4, 5):
        np.testing.assert_array_equal(probabilities(tiles[first:], classifier), together[first:])


@pytest.mark.parametrize("backend", BACKENDS)
def test_probabilities_are_the_bundles_calibrated_ones(
    backend: BackendName, tmp_path: Path
) -> None:
    bundles.save(tmp_path / "b", replace(CARD, temperature=2.5), lively_network())
    classifier = load_classifier(tmp_path / "b", "cpu", "fp32", backend=backend)
    tiles = np.random.default_rng(1).integers(0, 256, (2, 256, 256, 3), np.uint8)
    with torch.no_grad():
        logits = classifier.bundle.model(classifier.bundle.preprocess(tiles))
    expected = logits.softmax(dim=1).numpy()
    np.testing.assert_allclose(probabilities(list(tiles), classifier), expected, atol=1e-5)


@needs_openvino
@pytest.mark.parametrize(
    ("precision", "tolerance"), [("fp32", 1e-4), pytest.param("bf16", 0.02, marks=pytest.mark.slow)]
)
def test_both_backends_flag_the_same_patches_but_at_the_threshold(
    precision: PrecisionName, tolerance: float, tmp_path: Path
) -> None:
    bundles.save(tmp_path / "b", replace(CARD, temperature=0.2), lively_network())
    noise = np.random.default_rng(2).integers(0, 256, (256, 900, 3), np.uint8)
    strips = (noise, noise // 2 + 60, np.sort(noise, axis=0))
    one, other = (
        classify(
            load_classifier(tmp_path / "b", "cpu", precision, backend=backend), *strips, stride=128
        )
        for backend in ("torch", "openvino")
    )
    columns = [f"p_class_{number}" for number in range(1, 5)]
    assert (one[columns] - other[columns]).abs().max(axis=None) < tolerance
    # Of the last two classes no patch has as much probability as bf16 may change.
    limits = dict.fromkeys(CLASSES[1:], 1.0) | {
        name: one[column].quantile(0.8)
        for name, column in zip(CLASSES[1:3], columns[:2], strict=True)
    }
    by_class = PolicyFile(
        name="by class", version="1", black_threshold=0.5, any_defect_threshold=1.0
    )
    flagged, again = (flag(rows, CLASSES, limits, by_class)["flagged"] for rows in (one, other))
    assert 3 < flagged.sum() < len(flagged) - 3
    near = (one[columns] - list(limits.values())).abs().min(axis=1) < tolerance
    assert (flagged == again)[~near].all()
    assert (~near).sum() > 5


def test_auto_takes_openvino_on_a_processor_where_it_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    monkeypatch.setattr("inspection.pipeline.classifier.find_spec", lambda _name: object())
    assert resolve_backend("auto", cpu) == "openvino"
    assert resolve_backend("auto", cuda) == "torch"
    assert resolve_backend("torch", cpu) == "torch"
    monkeypatch.setattr("inspection.pipeline.classifier.find_spec", lambda _name: None)
    assert resolve_backend("auto", cpu) == "torch"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ("cat", "dog")}, "a model with a class 'normal'"),
        ({"classes": ("normal",)}, "no defect class"),
        ({"classes": ("normal", "class 1", "class_1")}, "would share the column p_class_1"),
        ({"input_size": (224, 448)}, "images of 448×224 px; patches are squares"),
    ],
)
def test_a_model_for_something_else_is_refused(
    tmp_path: Path, changes: dict[str, tuple[str, ...]], message: str
) -> None:
    folder = save(tmp_path / "b", replace(CARD, **changes))  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=message):
        load_classifier(folder)


def test_a_missing_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no model bundle here"):
        load_classifier(tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SiseError, match="--device cuda: PyTorch finds no CUDA device"):
        load_classifier(save(tmp_path / "b", CARD), "cuda")


def test_settings_are_resolved(tmp_path: Path) -> None:
    classifier = load_classifier(save(tmp_path / "b", CARD), "cpu", "bf16", 3)
    assert (classifier.precision, classifier.batch_size) == ("bf16", 3)
    assert classifier.device == torch.device("cpu")
    assert load_classifier(tmp_path / "b", "cpu", "fp32").batch_size == 8


def test_an_image_higher_than_a_patch_is_covered_in_rows() -> None:
    pixels = np.full((300, 512, 3), 128, np.uint8)
    pixels[256:, :64] = 255  # seen by the lower left patch alone
    rows = classify(toy_classifier(), pixels)
    assert list(zip(rows["top"], rows["left"], strict=True)) == [
        (0, 0), (0, 224), (0, 256), (44, 0), (44, 224), (44, 256)
    ]  # fmt: skip
    assert rows[["width", "height", "size"]].drop_duplicates().values.tolist() == [[512, 300, 256]]
    logits = np.array([2, 40 * 44 * 64 / 256**2, 0, 0, 0])
    expected = np.exp(logits[1]) / np.exp(logits).sum()
    plain = 1 / np.exp([2, 0, 0, 0, 0]).sum()
    np.testing.assert_allclose(
        rows["p_class_1"], [plain, plain, plain, expected, plain, plain], atol=1e-6
    )


def test_patches_are_as_large_as_the_model_takes_and_normal_may_stand_anywhere(
    tmp_path: Path,
) -> None:
    card = replace(CARD, input_size=(112, 112), classes=("pit", "normal", "Kratzer"))
    classifier = load_classifier(save(tmp_path / "b", card), "cpu", "fp32")
    assert classifier.patch == 112
    rows = classify(classifier, strip(256)[:200, :200], stride=98)
    assert rows[["left", "top"]].values.tolist() == [[0, 0], [88, 0], [0, 88], [88, 88]]
    probabilities = rows[["p_pit", "p_normal", "p_kratzer"]]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
