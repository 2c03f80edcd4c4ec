"""What can go wrong in a review, each with the cure in its message."""

from inspection.errors import InspectionError


class DatabaseError(InspectionError):
    """A review database that is missing, out of reach, or no review database. `reason` is what is
    wrong, without the database's name."""

    def __init__(self, words: str, reason: str = "") -> None:
        super().__init__(words)
        self.reason = reason or words


class RegistrationError(InspectionError):
    """A report folder that cannot be registered for review."""


class DecisionError(InspectionError):
    """A decision, or a file of decisions, that cannot be taken in."""


class ExportError(InspectionError):
    """Reviewed crops that cannot be written as a dataset."""


class SampleError(InspectionError):
    """An audit sample that cannot be drawn."""


class ReleaseError(InspectionError):
    """A release that cannot be signed."""


class SheetError(InspectionError):
    """A spreadsheet that cannot be written as asked."""


class ServeError(InspectionError):
    """A server that cannot be started as asked."""


class UsersError(InspectionError):
    """A file of users, or a name or password in it, that cannot be taken."""


class StripError(InspectionError):
    """A strip that is missing, or not the one that was inspected."""
