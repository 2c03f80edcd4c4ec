"""SISE: explain a CNN's prediction by semantic input sampling (AAAI-21).

>>> from sise import SISE
>>> explanation = SISE(model)(images)
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sise.bundle import ModelBundle
    from sise.explainer import SISE
    from sise.explanation import Explanation, LayerExplanation
    from sise.methods.gradcam import GradCAM

# Imported on first use: a command line's --help must not wait for PyTorch.
_HOME = {
    "SISE": "sise.explainer",
    "Explanation": "sise.explanation",
    "LayerExplanation": "sise.explanation",
    "GradCAM": "sise.methods.gradcam",
    "ModelBundle": "sise.bundle",
}

__all__ = ["SISE", "Explanation", "GradCAM", "LayerExplanation", "ModelBundle"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'sise' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
