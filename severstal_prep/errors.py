"""What can go wrong with the data, each with the cure in its message."""

from pathlib import Path


class PrepError(Exception):
    """Base of the errors that a user can cure; the command line prints it as one line."""

    exit_code = 2


class UnreadableImageError(PrepError):
    """An image file that is missing, of no known format, damaged or truncated."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class RleError(PrepError):
    """A run-length text that describes no mask."""


class AnnotationError(PrepError):
    """A label file, or a row of it, that cannot be used."""


class OptionError(PrepError):
    """A value outside what an option can take."""


class DatasetError(PrepError):
    """A folder that holds no recast dataset, or one that does not fit the request."""


class InUseError(PrepError):
    """An output folder into which another process writes."""


class DownloadError(PrepError):
    """Kaggle's files cannot be fetched."""
