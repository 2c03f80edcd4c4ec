"""What can go wrong in training, each with the cure in its message."""


class TrainingError(Exception):
    """Base of the errors that a user can cure; the command line prints it as one line."""

    exit_code = 2


class RecipeError(TrainingError):
    """A recipe that is unknown, or options that do not go together."""


class DataError(TrainingError):
    """A recast dataset that a classifier cannot be trained or tested on."""


class WeightsError(TrainingError):
    """Initial weights that cannot be had or do not fit the architecture."""


class DivergedError(TrainingError):
    """A training, or a model's answer, that left the range of numbers."""


class MemoryShortError(TrainingError):
    """Memory, or shared memory between processes, that ran out."""


class ProcessError(TrainingError):
    """A process of a training on several devices that ended before the others."""


class CheckpointError(TrainingError):
    """A checkpoint that is missing, damaged or of another kind of classifier."""


class RunFolderError(TrainingError):
    """A run folder that holds something else than this run."""
