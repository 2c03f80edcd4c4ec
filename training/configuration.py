"""The configuration of a run: recipes and options, read by LightningCLI."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from jsonargparse import ArgumentError
from jsonargparse.typing import NonNegativeInt
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.cli import LightningArgumentParser, LightningCLI
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

from severstal_prep.alone import alone
from severstal_prep.dataset import card_sha256, read_card
from severstal_prep.remote import is_place
from severstal_prep.usage import in_words
from sise.outputs import check_apart
from sise.precision import has_bfloat16
from training.classifier import DefectClassifier
from training.costs import COSTS_HELP, RISK_HELP, cost_table
from training.crops import SplitCard
from training.data import RecastDataModule
from training.errors import RecipeError, RunFolderError
from training.explained import MIXTURE, Explain, ExplainCrops
from training.finish import decision_options
from training.options import (
    check_callbacks,
    check_finite,
    check_optimizer,
    check_trainer_options,
    on_several_devices,
)
from training.processes import OwnSignals, is_first, started
from training.progress import progress_callback
from training.recipes import RecipeArguments, essentials, with_addresses
from training.runs import CheckpointFiles, RunCheckpoint, RunFolder

Monitor = Literal["val/macro_recall", "val/top1", "val/loss", "val/mixture"]


class FitCLI(LightningCLI):
    """LightningCLI for one run in one folder; options win over recipes, wherever they stand.

    Nothing is instantiated for a run that is finished. `first` is whether this process is the one
    that writes.
    """

    def __init__(self, recipe: RecipeArguments, callbacks: Sequence[Callback] = ()) -> None:
        self.recipe = recipe
        self.callbacks = callbacks
        self.first = is_first()
        try:
            super().__init__(
                DefectClassifier,
                RecastDataModule,
                save_config_callback=None,
                trainer_defaults={
                    "deterministic": "warn",
                    "devices": 1,
                    "log_every_n_steps": 1,
                    "num_sanity_val_steps": 0,
                    "enable_model_summary": False,
                    "use_distributed_sampler": False,
                },
                parser_kwargs={"prog": "defect-train fit", "exit_on_error": False},
                args=[*(f"--config={path}" for path in recipe.configs), *recipe.options],
                run=False,
                auto_configure_optimizers=False,
                load_from_checkpoint_support=False,
            )
        except ArgumentError as error:
            raise RecipeError(f"{in_words(str(error), self.parser)}; see --help") from error

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse `args`; LightningCLI's own way would warn that they are not sys.argv."""
        self.config = parser.parse_args(args)
        if self.recipe.bring is not None:
            self.recipe.bring(self.config, follows=not self.first)
        if started() > 1 and self.config.out and is_place(self.config.out):
            raise RecipeError(
                "--out is an address, where torchrun or srun started several processes; give a "
                "folder that all of them see"
            )

    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the seed, always a number: a run must be repeatable."""
        parser.add_argument(
            "--seed_everything",
            type=NonNegativeInt,
            default=0,
            help="seed of weights, order and variations (default: 0)",
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add what concerns the run and the bundle."""
        parser.add_argument(
            "--out", type=Path | None, default=None, help="run folder (default: runs/RECIPE)"
        )
        parser.add_argument(
            "--monitor",
            type=Monitor,
            default="val/macro_recall",
            help="what chooses the best epoch: highest recall or accuracy, lowest loss, or the "
            "highest mixture of macro recall and EBPG (explain.weight)",
        )
        parser.add_argument("--explain", type=Explain, default=Explain())
        parser.add_argument(
            "--tune",
            type=dict[str, dict[str, Any]],
            default={},
            help="ranges of options that `defect-train tune` tries; fit leaves them alone",
        )
        parser.add_argument(
            "--thresholds",
            type=dict[str, float],
            default={},
            help="probability from which a patch is flagged, by class (default: 0.5 for each)",
        )
        parser.add_argument("--costs", type=cost_table, default=None, help=COSTS_HELP)
        parser.add_argument("--risk", type=float | None, default=None, help=RISK_HELP)
        parser.link_arguments("seed_everything", "data.seed")
        parser.link_arguments("model.architecture", "data.architecture")
        parser.link_arguments("data.num_classes", "model.num_classes", apply_on="instantiate")

    def before_instantiate_classes(self) -> None:
        """Look at the run folder before anything costly is made."""
        check_trainer_options(self.config.trainer)
        self.run = RunFolder(self.config.out or Path("runs") / self.recipe.name)
        self.config_text = with_addresses(self.parser.dump(self.config, skip_none=False))
        configuration = yaml.safe_load(self.config_text)
        check_finite(configuration)
        dataset_sha256 = card_sha256(self.config.data.root)
        classes = read_card(self.config.data.root, SplitCard)["classes"]
        self.decision_options = decision_options(
            self.config.thresholds, self.config.costs, self.config.risk, classes
        )
        check_apart(self.run.path, [Path(self.config.data.root)])
        self.state = (
            self.run.state(configuration, dataset_sha256) if self.first else self.run.progress()
        )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other trainings out of the run folder, in the process that writes there.

        Raises InUseError while one is at work there, and RunFolderError where one was since this
        one looked.
        """
        if not self.first:
            yield
            return
        with alone(self.run.path):
            if self.run.progress() != self.state:
                raise RunFolderError(
                    f"{self.run.path}: another training was at work here just now; "
                    "run the same command again"
                )
            yield

    def instantiate_classes(self) -> None:
        """Make data module, classifier and trainer, unless there is nothing to do."""
        if self.state != "finished":
            super().instantiate_classes()
            self.model.recipe = essentials(yaml.safe_load(self.config_text))
            check_optimizer(self.model.build_optimizer)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Make a trainer that writes into the run folder alone."""
        folder = str(self.run.path)
        csv = CSVLogger(folder, name="logs", flush_logs_every_n_steps=1)
        tensorboard = TensorBoardLogger(
            folder, name="logs", version=csv.version, default_hp_metric=False
        )
        mode = "min" if self.config.monitor == "val/loss" else "max"
        self.explained = ExplainCrops(
            self.config_init.explain, self.config.monitor == MIXTURE, self.config.seed_everything
        )
        self.trainer_defaults["callbacks"] = [
            progress_callback(),
            OwnSignals(),
            self.explained,
            RunCheckpoint(self.run.best, monitor=self.config.monitor, mode=mode),
            RunCheckpoint(self.run.last),
            *self.callbacks,
        ]
        precision = self.config.trainer.precision or self._fastest_precision()
        try:
            trainer: Trainer = super().instantiate_trainer(
                default_root_dir=folder,
                logger=[csv, tensorboard],
                precision=precision,
                enable_progress_bar=sys.stderr.isatty(),
                plugins=[*self._given_plugins(), *self._plugins()],
                **kwargs,
            )
            if trainer.world_size > 1:
                environment = trainer.strategy.cluster_environment  # type: ignore[attr-defined]
                environment.validate_settings(trainer.num_devices, trainer.num_nodes)
        except (MisconfigurationException, ValueError, ImportError, RuntimeError) as error:
            said = " ".join(str(error).split()).rstrip("!.")
            raise RecipeError(f"trainer: {said}{self._cure()}") from error
        check_callbacks(trainer.callbacks, self.explained.measured)  # type: ignore[attr-defined]
        return trainer

    def _given_plugins(self) -> list[Any]:
        given = self.config_init.trainer.plugins or []
        return list(given) if isinstance(given, list) else [given]

    def _plugins(self) -> list[Any]:
        """A queued job is started anew by its script, from the last finished epoch: Lightning's
        own requeueing would begin within an epoch, and show some of its crops twice."""
        in_slurm = SLURMEnvironment.detect() and not TorchElasticEnvironment.detect()
        return [CheckpointFiles(), *([SLURMEnvironment(auto_requeue=False)] if in_slurm else [])]

    def _cure(self) -> str:
        options = self.config.trainer
        cures = []
        if options.accelerator not in ("auto", "cpu"):
            cures.append("--trainer.accelerator auto or cpu")
        if on_several_devices(options):
            cures.append("other --trainer.devices")
        return f"; give {', or '.join(cures)}" if cures else ""

    def _fastest_precision(self) -> str:
        cuda = self.config.trainer.accelerator != "cpu" and torch.cuda.is_available()
        return "bf16-mixed" if has_bfloat16(torch.device("cuda" if cuda else "cpu")) else "32-true"
