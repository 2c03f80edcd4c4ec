"""What can go wrong in an inspection, each with the cure in its message."""


class InspectionError(Exception):
    """Base of the errors that a user can cure; the command line prints it as one line."""

    exit_code = 2


class BatchError(InspectionError):
    """A batch folder that is missing, empty or cannot be listed."""


class CoilError(BatchError):
    """A coil's file that does not parse, or does not fit the strips beside it."""


class PolicyError(InspectionError):
    """A policy that does not parse, is out of range, or names classes the model lacks."""


class ModelError(InspectionError):
    """A bundle whose model cannot inspect strips."""


class ReportFolderError(InspectionError):
    """An output folder that holds something else than this batch's report."""


class EngineError(InspectionError):
    """Processes that do the work and end before it is done."""


class DocumentError(InspectionError):
    """A report that cannot be made into one file or printed."""


class LanguageError(InspectionError):
    """A language that no catalogue is there for."""


class WatchError(InspectionError):
    """A line that cannot be watched as asked."""
