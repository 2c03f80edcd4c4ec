"""The table of all explainers: every contract test runs over it."""

from collections.abc import Callable
from typing import Any

from sise import SISE, GradCAM
from sise.explanation import Explainer

EXPLAINERS: dict[str, Callable[..., Explainer]] = {"SISE": SISE, "Grad-CAM": GradCAM}


def make(name: str, model: Any, **options: Any) -> Explainer:
    return EXPLAINERS[name](model, **options)
