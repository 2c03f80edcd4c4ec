"""JSON as others read it: what Python would write as NaN or Infinity is null."""

import json
import math
from typing import Any


def dumps(content: Any, indent: int | None = None) -> str:
    """`content` as JSON, in which a number that is not finite, hence not defined, is null."""
    return json.dumps(_plain(content), indent=indent, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
