"""`defect-train fit`: train by a recipe, resume, and end with a model bundle."""

import logging
import signal
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import Callback, Trainer
from torch import nn

from sise.blocks import find_blocks
from sise.bundle import library_versions, read_card
from sise.errors import LayerError
from sise.progress import note
from training.checkpoint import read_checkpoint
from training.classifier import DefectClassifier
from training.configuration import FitCLI
from training.crops import check_grey
from training.data import RecastDataModule
from training.errors import DivergedError, RecipeError
from training.finish import metrics_line, validate, write_bundle
from training.options import check_shares, why_ended
from training.processes import following, is_first, leading
from training.recipes import RecipeArguments
from training.resources import memory_explained, writing_in
from training.weights import initialise, initialise_grey

EXPECTED_WARNINGS = (
    ".*does not have many workers.*",  # the recipe chose
    ".*Checkpoint directory .* exists and is not empty.*",  # resuming
    ".*LeafSpec.* is deprecated.*",  # between Lightning and PyTorch
    ".*sync_dist=True.*",  # metrics are the same in all processes already
)


def print_all_options() -> int:
    """Print LightningCLI's own help; returns the exit code."""
    FitCLI(RecipeArguments((), ("--help",)))
    return 0


def fit(recipe: RecipeArguments) -> int:
    """Train, resume or find finished the run that a command line describes; returns 0.

    Raises TrainingError, PrepError and SiseError for what the user can cure, and
    KeyboardInterrupt if the training was interrupted and can be resumed.
    """
    cli = run_quietly(recipe)
    if cli.first:
        print(metrics_line(read_card(cli.run.bundle)))
        print(cli.run.bundle)
    return 0


def run_quietly(recipe: RecipeArguments, callbacks: Sequence[Callback] = ()) -> FitCLI:
    """Do the work of `fit`, without a word on stdout, and with more callbacks; the same errors."""
    with (
        quiet_lightning(),
        _said_once(),
        _determinism_given_back(),
        nullcontext() if is_first() else following(),
    ):
        cli = FitCLI(recipe, callbacks)
        if cli.state == "finished":
            note(f"{cli.run.path}: this run is finished; nothing to do")
        else:
            _fit(cli)
    return cli


def _fit(cli: FitCLI) -> None:
    with (
        memory_explained("--data.batch_size", "--data.num_workers"),
        writing_in(cli.run.path),
        cli.alone(),
    ):
        ended_early = train(cli)
        if cli.first:
            finish(cli, ended_early)


def train(cli: FitCLI) -> str:
    """Train from the start, or from the last finished epoch; tell where and why it ended early,
    "" if it did not.

    Raises DivergedError, with what to do, if it left the range of numbers, and RecipeError for
    options that the trainer cannot follow.
    """
    cli.datamodule.setup("fit")
    resume = cli.state == "interrupted"
    if not resume:
        check_explainable(cli.model.network, cli.model.architecture, cli.datamodule.input_size)
        _initialise(cli.model, cli.datamodule)
    data: RecastDataModule = cli.datamodule
    recast = data.recast
    crops = {split: len(recast.crops(split)) for split in ("train", "val")}
    processes = cli.trainer.world_size
    check_shares(processes, data.batch_size, data.epoch_crops or crops["train"], crops["val"])
    cli.explained.prepare(data)
    device = cli.trainer.strategy.root_device
    record = {
        "dataset_card_sha256": recast.sha256,
        "device": str(device),
        "processes": processes,
        "precision": cli.trainer.precision,
        "versions": library_versions(cli.model.architecture),
        **data.masking.record(),
    }
    if cli.first:
        cli.run.start(cli.config_text, record)
        if not resume:  # of a start that was killed before its first epoch was saved as the last
            cli.run.best.unlink(missing_ok=True)
    parameters = sum(parameter.numel() for parameter in cli.model.parameters())
    note(
        f"{'resuming' if resume else 'training'} {cli.model.architecture} "
        f"({parameters / 1e6:.1f} M parameters) on "
        f"{device if processes == 1 else f'{processes} × {device.type}'}, {cli.trainer.precision}; "
        f"{crops['train']} training and {crops['val']} validation crops"
    )
    try:
        with _interrupt_raised(), leading(cli.trainer) if cli.first else nullcontext():
            cli.trainer.fit(
                cli.model,
                datamodule=cli.datamodule,
                ckpt_path=str(cli.run.last) if resume else None,
                weights_only=True,
            )
    except MisconfigurationException as error:
        raise RecipeError(f"trainer: {' '.join(str(error).split())}") from error
    except DivergedError as error:
        said = f"{error}; {_cure(cli)}"
        if cli.first:
            cli.run.note(record | {"diverged": said})
        raise DivergedError(f"the training diverged at {said}") from error
    ended = _ended_early(cli.trainer)
    if ended:
        note(f"training ended early, {ended}")
        if cli.first:
            cli.run.note(record | {"ended_early": ended})
    if not cli.run.best.is_file():
        raise RecipeError(
            f"{cli.run.path}: no epoch was trained and validated to its end"
            f"{f' ({ended})' if ended else ''}; train longer, into another --out"
        )
    return ended


def _initialise(model: DefectClassifier, data: RecastDataModule) -> None:
    if model.channels == 3:
        initialise(model.network, model.architecture, model.weights)
        return
    check_grey(data.recast.crops("train"))
    initialise_grey(model.network, model.architecture, model.weights, data.mean, data.std)


def _cure(cli: FitCLI) -> str:
    """What to do after a training that diverged, and what is left of it."""
    rate = getattr(cli.config.model.optimizer.get("init_args"), "lr", None)
    lower = "a lower learning rate" + ("" if rate is None else f" than {rate:g}")
    exact = "" if cli.trainer.precision == "32-true" else ", or with --trainer.precision 32-true"
    kept = next((file for file in (cli.run.best, cli.run.last) if file.is_file()), None)
    left = "no epoch was finished before" if kept is None else f"{kept} is the last good one"
    return f"train again with {lower}{exact}, into another --out; {left}"


def _ended_early(trainer: Trainer) -> str:
    """Where and why a training ended before its last epoch; "" if it did not."""
    epochs = trainer.max_epochs or 0
    begun = trainer.fit_loop.epoch_progress.current.processed  # type: ignore[attr-defined]
    passed = trainer.fit_loop.epoch_loop.batch_progress.current.completed
    batches = trainer.num_training_batches
    whole = passed >= batches
    if begun >= epochs and whole:
        return ""
    where = f"after epoch {begun} of {epochs}"
    if begun == 0:
        where = f"before the first of {epochs} epochs"
    elif not whole:
        where = f"in epoch {begun} of {epochs}, after {passed} of its {batches} batches"
    return f"{where}: {why_ended(trainer.callbacks)}"  # type: ignore[attr-defined]


def check_explainable(network: nn.Module, architecture: str, size: tuple[int, int]) -> None:
    """Raises RecipeError for a network that SISE cannot explain on crops of `size` (H, W).

    Inspection explains what it flags; this is said before the training, not after it.
    """
    try:
        find_blocks(network, size)
    except LayerError as error:
        reason = str(error).partition("; give images")[0].partition("; pass layers=")[0]
        raise RecipeError(
            f"model.architecture {architecture} is not trained: SISE cannot explain it on crops of "
            f"{size[0]}×{size[1]} px ({reason}); choose a CNN, resnet50 or convnext_tiny say"
        ) from error


def finish(cli: FitCLI, ended_early: str) -> None:
    """Calibrate the best epoch's classifier on the validation crops and write its bundle."""
    checkpoint = read_checkpoint(cli.run.best)
    data: RecastDataModule = cli.datamodule
    validation = validate(
        checkpoint,
        data.recast.crops("val"),
        cli.trainer.strategy.root_device,
        batch_size=data.batch_size,
        num_workers=data.num_workers,
        options=cli.decision_options,
    )
    write_bundle(cli.run.bundle, checkpoint, validation, cli.config.thresholds, ended_early)


@contextmanager
def _interrupt_raised() -> Iterator[None]:
    """Turn Lightning's exit on Ctrl-C or SIGTERM back into a KeyboardInterrupt."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from error


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's notices on its own affairs off the screen."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    try:
        with warnings.catch_warnings():
            for message in EXPECTED_WARNINGS:
                warnings.filterwarnings("ignore", message)
            for logger in loggers:
                logger.setLevel(logging.WARNING)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _said_once() -> Iterator[None]:
    """Keep a thread of TensorBoard from printing an OSError that it hands to the training."""
    others = threading.excepthook

    def hook(failed: threading.ExceptHookArgs) -> None:
        if not issubclass(failed.exc_type, OSError):
            others(failed)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = others


@contextmanager
def _determinism_given_back() -> Iterator[None]:
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
