"""`defect-train tune`: try values from a recipe's ranges, each a run of fit, and name the best.

OUT/study.db        Optuna's study (SQLite): what was tried, and what came of it
OUT/trial-NNN/      the run folder of each trial
OUT/best.yaml       the best trial's recipe, for `fit --config`
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
import yaml
from optuna.trial import FrozenTrial, Trial, TrialState
from pytorch_lightning import Callback, LightningModule, Trainer

from severstal_prep.alone import alone, unused
from severstal_prep.files import replacing
from sise.bundle import read_card
from sise.progress import note
from training.checkpoint import read_plain
from training.configuration import FitCLI
from training.errors import DivergedError, RecipeError, RunFolderError, TrainingError
from training.finish import metrics_line
from training.fit import quiet_lightning, run_quietly
from training.options import on_several_devices
from training.ranges import Range, read_ranges
from training.recipes import RecipeArguments
from training.runs import RunFolder, first_difference

STUDY_NAME, BEST_NAME = "study.db", "best.yaml"
WITHOUT_PRUNING = 4
"""So many trials are trained to their end first: the median of fewer says little."""

Configuration = dict[str, Any]


class Plan(FitCLI):
    """The configuration of all trials; nothing is made of it."""

    def before_instantiate_classes(self) -> None:
        """Look at nothing: each trial does."""

    def instantiate_classes(self) -> None:
        """Make nothing."""


@dataclass(frozen=True)
class Tuning:
    """A study: its folder, the command line of fit without --out, and what to try."""

    folder: Path
    recipe: RecipeArguments
    ranges: dict[str, Range]
    configuration: Configuration

    @property
    def monitor(self) -> str:
        name: str = self.configuration["monitor"]
        return name

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        return "minimize" if self.monitor == "val/loss" else "maximize"

    def run_folder(self, number: int) -> RunFolder:
        """That of a trial, counted from 0."""
        return RunFolder(self.folder / f"trial-{number:03d}")

    def options(self, values: dict[str, Any], out: Path) -> RecipeArguments:
        """The command line of fit for a trial."""
        chosen = [
            f"--{name}={yaml.safe_dump(value).split(chr(10))[0]}" for name, value in values.items()
        ]
        options = (*self.recipe.options, *chosen, f"--out={out}")
        return replace(self.recipe, options=options)


def tune(recipe: RecipeArguments, trials: int) -> int:
    """Bring the study that a command line describes to `trials` trials; returns 0.

    Raises RecipeError for ranges or options that cannot be, RunFolderError for a folder that holds
    something else, and KeyboardInterrupt, after which the same command goes on.
    """
    tuning = plan(recipe)
    check_free(tuning.folder)
    with alone(tuning.folder):
        study = open_study(tuning)
        abandon_killed(study)
        while len(ended(study)) < trials:
            try_one(study, tuning, trials)
    finished = [trial for trial in ended(study) if trial.state == TrialState.COMPLETE]
    if not finished:
        raise TrainingError(
            f"{tuning.folder}: no trial came to its end; narrow the ranges, and give another --out"
        )
    best = study.best_trial
    run = tuning.run_folder(number_of(best))
    write_best(tuning.folder / BEST_NAME, run)
    print(f"best of {len(ended(study))} trials: {run.path.name}, {tuning.monitor} {best.value:.4f}")
    print(in_words(best.params))
    print(metrics_line(read_card(run.bundle)))
    print(run.bundle)
    print(tuning.folder / BEST_NAME)
    return 0


def plan(recipe: RecipeArguments) -> Tuning:
    """What a command line of fit, with ranges in its recipe, is to try. Raises RecipeError."""
    with quiet_lightning():
        return _plan(recipe)


def _plan(recipe: RecipeArguments) -> Tuning:
    cli = Plan(recipe)
    configuration = yaml.safe_load(cli.parser.dump(cli.config, skip_none=False))
    ranges = read_ranges(configuration.pop("tune"))
    if on_several_devices(cli.config.trainer):
        raise RecipeError("tune trains on one device; give --trainer.devices 1")
    folder = Path(configuration.pop("out") or f"runs/{recipe.name}-tune")
    tuning = Tuning(folder, recipe, ranges, configuration)
    for least in ("first", "last"):
        values = {name: getattr(one, least) for name, one in ranges.items()}
        Plan(tuning.options(values, folder))  # each name is an option, each end a value of it
    return tuning


def check_free(folder: Path) -> None:
    """Raise RunFolderError for a folder that holds something else than a study."""
    if not unused(folder) and not (folder / STUDY_NAME).is_file():
        raise RunFolderError(
            f"{folder}: not empty, and no study of defect-train tune; give another --out"
        )


def open_study(tuning: Tuning) -> optuna.Study:
    """The study in its folder, new or as it was left; raises RunFolderError if it is another."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    folder, file = tuning.folder, tuning.folder / STUDY_NAME
    epochs = tuning.configuration["trainer"]["max_epochs"]
    study = optuna.create_study(
        storage=f"sqlite:///{file}",
        study_name="tune",
        direction=tuning.direction,
        pruner=optuna.pruners.MedianPruner(WITHOUT_PRUNING, n_warmup_steps=epochs // 4),
        load_if_exists=True,
    )
    ranges = {name: one.as_dict() for name, one in tuning.ranges.items()}
    described = tuning.configuration | {"ranges": ranges}
    earlier = study.user_attrs.get("configuration", described)
    difference = first_difference(earlier, described)
    if difference:
        raise RunFolderError(f"{folder}: holds a study with {difference}; give another --out")
    study.set_user_attr("configuration", described)
    return study


def abandon_killed(study: optuna.Study) -> None:
    """Queue trials that were running when the process ended: they go on in their run folders."""
    for trial in study.get_trials(states=[TrialState.RUNNING]):
        attributes = {"number": number_of(trial), "before": trial.number}
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params, user_attrs=attributes)


def number_of(trial: FrozenTrial | Trial) -> int:
    """The number of a trial's run folder: it keeps it when it goes on after an interruption."""
    number: int = trial.user_attrs.get("number", trial.number)
    return number


def ended(study: optuna.Study) -> list[FrozenTrial]:
    """Trials with a result: finished, pruned or diverged, not those that were interrupted."""
    trials = study.get_trials(states=[TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL])
    return [one for one in trials if one.state != TrialState.FAIL or "diverged" in one.user_attrs]


def try_one(study: optuna.Study, tuning: Tuning, trials: int) -> None:
    """Train the next trial, and tell the study what came of it.

    What the sampler draws depends on the seed and on the trials before alone.
    """
    done = len(ended(study))
    seed = np.random.SeedSequence((tuning.configuration["seed_everything"], done))
    study.sampler = optuna.samplers.TPESampler(seed=int(seed.generate_state(1)[0]))
    trial = study.ask()
    values = {name: one.suggest(trial, name) for name, one in tuning.ranges.items()}
    run = tuning.run_folder(number_of(trial))
    report_again(study, trial)
    note(f"trial {done + 1} of {trials} ({run.path.name}): {in_words(values)}")
    reporter = Reporter(trial, tuning.monitor)
    try:
        run_quietly(tuning.options(values, run.path), [reporter])
    except optuna.TrialPruned:
        note(f"{run.path.name}: ended after epoch {reporter.epoch}, worse than most")
        study.tell(trial, state=TrialState.PRUNED)
        return
    except DivergedError as error:
        note(f"{run.path.name}: {error}")
        trial.set_user_attr("diverged", str(error))
        study.tell(trial, state=TrialState.FAIL)
        return
    study.tell(trial, best_value(run))


def report_again(study: optuna.Study, trial: Trial) -> None:
    """Give a trial that goes on the values that it had before."""
    before = trial.user_attrs.get("before")
    if before is not None:
        for epoch, value in study.trials[before].intermediate_values.items():
            trial.report(value, epoch)


class Reporter(Callback):
    """Tells a trial what each validation measured; raises TrialPruned where it falls behind."""

    def __init__(self, trial: Trial, monitor: str) -> None:
        self._trial = trial
        self._monitor = monitor
        self.epoch = 0

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After a validation, if there was one in this epoch."""
        if (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1):
            return
        self.epoch = trainer.current_epoch + 1
        reported = self._trial.study.trials[self._trial.number].intermediate_values
        if self.epoch not in reported:
            self._trial.report(float(trainer.callback_metrics[self._monitor]), self.epoch)
        if self._trial.should_prune():
            raise optuna.TrialPruned


def best_value(run: RunFolder) -> float:
    """What the best epoch of a finished run was chosen by."""
    states: dict[str, Any] = read_plain(run.best)["callbacks"]
    (score,) = [
        state["best_model_score"]
        for state in states.values()
        if state.get("best_model_score") is not None and state.get("monitor")
    ]
    return float(score)


def write_best(file: Path, run: RunFolder) -> None:
    """The recipe of a run, without where it lies and what else was to be tried."""
    configuration = yaml.safe_load(run.config.read_text("utf-8"))
    kept = {name: value for name, value in configuration.items() if name not in ("out", "tune")}
    with replacing(file) as temporary:
        text = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)
        temporary.write_text(f"# The best trial of a tuning: {run.path.name}\n{text}", "utf-8")


def as_text(value: Any) -> str:
    """A value as the command line takes it."""
    return value if isinstance(value, str) else json.dumps(value)


def in_words(values: dict[str, Any]) -> str:
    """Options with their values, numbers to four digits."""
    shown = {k: f"{v:.4g}" if isinstance(v, float) else str(v) for k, v in values.items()}
    return ", ".join(f"{name} {value}" for name, value in shown.items())
