"""Names that others vouch for."""

from pydantic import TypeAdapter, ValidationError

from inspection.review.decisions import Name

_NAME: TypeAdapter[str] = TypeAdapter(Name)


def as_name(said: object) -> str | None:
    """A name that the log takes, None if this is none."""
    try:
        return _NAME.validate_python(str(said).strip()) if isinstance(said, str) else None
    except ValidationError:
        return None
