"""`defect-train test`: how well a model bundle does on a split of a recast dataset."""

import json
from pathlib import Path
from typing import Any, Literal

from severstal_prep.files import replacing
from sise import bundle
from sise.devices import choose_device
from sise.precision import Precision, resolve
from sise.progress import note, track
from training import paper_results
from training.answers import Answers
from training.calibration import ECE_BINS
from training.classification_report import ClassificationReport, write_confusion
from training.crops import check_classes, read_recast
from training.data import CropDataset, crop_loader
from training.decision_pictures import COSTS_PICTURE, RISK_PICTURE, draw
from training.evaluate import evaluate, predict
from training.judgement import judge_test
from training.resources import memory_explained

Split = Literal["train", "val", "test"]

RESULTS_NAME = "test.json"
PICTURE_NAME = "confusion.png"
PICTURES = (PICTURE_NAME, COSTS_PICTURE, RISK_PICTURE)


def assess(
    folder: Path,
    root: Path,
    out: Path,
    split: Split = "test",
    precision: Precision = "auto",
    batch_size: int = 64,
    num_workers: int | None = None,
) -> ClassificationReport:
    """Evaluate the bundle in `folder` on a split of the dataset at `root`; return the results.

    `test.json` and the pictures go to `out`. `num_workers` None means one process per
    processor, at most 8.

    Raises BundleError, DatasetError, DataError and UnreadableImageError for inputs that are
    not what they should be, or do not fit each other, and TrainingError for answers that are
    not finite, and if memory runs out.
    """
    device = choose_device("auto")
    model = bundle.load(folder, device)
    recast = read_recast(root)
    check_classes(folder, model.card.classes, recast)
    same_data = model.card.dataset.get("card_sha256") == recast.sha256
    if not same_data:
        note(
            f"note: {folder} was trained on another build of the data; strips that it "
            f"learned from may be in this {split} split"
        )
    crops = recast.crops(split)
    loader = crop_loader(CropDataset(crops), batch_size, num_workers)
    batches = track(loader, len(loader), f"test on {len(crops)} crops")
    with memory_explained("--batch-size", "--num-workers"):
        logits, labels = predict(model.model, model.card.mean, model.card.std, batches, precision)
    answers = Answers.of(logits, labels, crops.groups, recast.classes)
    report = ClassificationReport(
        title=f"{model.card.architecture}, {split} split ({recast.split_rule})",
        evaluation=evaluate(logits, labels, recast.classes),
        beside_paper=paper_results.is_papers_data(recast.classes, recast.counts()),
        judgement=judge_test(answers, model.card),
    )
    origin = {
        "bundle_sha256": model.sha256,
        "dataset_card_sha256": recast.sha256,
        "trained_on_this_dataset": same_data,
        "split": split,
        "split_rule": recast.split_rule,
        "device": str(device),
        "precision": str(resolve(precision, device)).removeprefix("torch."),
    }
    write_results(out, report, origin)
    return report


def write_results(out: Path, report: ClassificationReport, origin: dict[str, Any]) -> None:
    """Write picture and JSON into `out`, replacing earlier ones; the JSON comes last."""
    papers = {
        "top1": paper_results.TOP1,
        "top3": paper_results.TOP3,
        "macro_recall": paper_results.MACRO_RECALL,
        "confusion": {"normalised": [list(row) for row in paper_results.CONFUSION]},
    }
    content = {
        **origin,
        **report.evaluation.as_dict(),
        "ece_bins": ECE_BINS,
        **({} if report.judgement is None else report.judgement.as_dict()),
        "paper": papers if report.beside_paper else None,
    }
    out.mkdir(parents=True, exist_ok=True)
    write_confusion(out / PICTURE_NAME, report)
    draw(out, report.judgement)
    with replacing(out / RESULTS_NAME) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", "utf-8")
