"""`defect-train fit`: train by a recipe, resume, and end with a model bundle."""

import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from severstal_prep.console import note
from sise.bundle import library_versions, read_card
from training.checkpoint import read_checkpoint
from training.configuration import FitCLI
from training.data import RecastDataModule
from training.finish import metrics_line, validate, write_bundle
from training.recipes import RecipeArguments
from training.weights import initialise

EXPECTED_WARNINGS = (
    ".*does not have many workers.*",  # the recipe chose
    ".*Checkpoint directory .* exists and is not empty.*",  # resuming
    ".*LeafSpec.* is deprecated.*",  # between Lightning and PyTorch
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
    with _quiet_lightning(), _determinism_given_back():
        cli = FitCLI(recipe)
        if cli.state == "finished":
            note(f"{cli.run.path}: this run is finished; nothing to do")
        else:
            train(cli)
            finish(cli)
    print(metrics_line(read_card(cli.run.bundle)))
    print(cli.run.bundle)
    return 0


def train(cli: FitCLI) -> None:
    """Train from the start, or from the last finished epoch."""
    cli.datamodule.setup("fit")
    resume = cli.state == "interrupted"
    if not resume:
        initialise(cli.model.network, cli.model.architecture, cli.model.weights)
    data: RecastDataModule = cli.datamodule
    recast = data.recast
    device = cli.trainer.strategy.root_device
    record = {
        "dataset_card_sha256": recast.sha256,
        "device": str(device),
        "precision": cli.trainer.precision,
        "versions": library_versions(),
    }
    cli.run.start(cli.config_text, record)
    parameters = sum(parameter.numel() for parameter in cli.model.parameters())
    note(
        f"{'resuming' if resume else 'training'} {cli.model.architecture} "
        f"({parameters / 1e6:.1f} M parameters) on {device}, {cli.trainer.precision}; "
        f"{len(recast.crops('train'))} training and {len(recast.crops('val'))} validation crops"
    )
    with _interrupt_raised():
        cli.trainer.fit(
            cli.model,
            datamodule=cli.datamodule,
            ckpt_path=str(cli.run.last) if resume else None,
            weights_only=True,
        )


def finish(cli: FitCLI) -> None:
    """Calibrate the best epoch's classifier on the validation crops and write its bundle."""
    checkpoint = read_checkpoint(cli.run.best)
    data: RecastDataModule = cli.datamodule
    validation = validate(
        checkpoint,
        data.recast.crops("val"),
        cli.trainer.strategy.root_device,
        batch_size=data.batch_size,
        num_workers=data.num_workers,
    )
    write_bundle(cli.run.bundle, checkpoint, validation, cli.config.thresholds)


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
def _quiet_lightning() -> Iterator[None]:
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
def _determinism_given_back() -> Iterator[None]:
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
