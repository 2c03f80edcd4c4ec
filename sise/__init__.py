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
    from sise.methods.ablationcam import AblationCAM
    from sise.methods.eigencam import EigenCAM
    from sise.methods.extremal_perturbation import ExtremalPerturbation
    from sise.methods.fullgrad import FullGrad
    from sise.methods.gradcam import GradCAM
    from sise.methods.gradcam_pp import GradCAMpp
    from sise.methods.groupcam import GroupCAM
    from sise.methods.hirescam import HiResCAM
    from sise.methods.integrated_gradients import IntegratedGradients
    from sise.methods.layercam import LayerCAM
    from sise.methods.rise import RISE
    from sise.methods.scorecam import ScoreCAM
    from sise.methods.trivial import CentreGaussian, Noise, SobelEdges
    from sise.methods.untrained import Untrained
    from sise.methods.xgradcam import XGradCAM

# Imported on first use: a command line's --help must not wait for PyTorch.
_HOME = {
    "SISE": "sise.explainer",
    "Explanation": "sise.explanation",
    "LayerExplanation": "sise.explanation",
    "GradCAM": "sise.methods.gradcam",
    "GradCAMpp": "sise.methods.gradcam_pp",
    "LayerCAM": "sise.methods.layercam",
    "HiResCAM": "sise.methods.hirescam",
    "XGradCAM": "sise.methods.xgradcam",
    "EigenCAM": "sise.methods.eigencam",
    "AblationCAM": "sise.methods.ablationcam",
    "GroupCAM": "sise.methods.groupcam",
    "ScoreCAM": "sise.methods.scorecam",
    "RISE": "sise.methods.rise",
    "IntegratedGradients": "sise.methods.integrated_gradients",
    "ExtremalPerturbation": "sise.methods.extremal_perturbation",
    "FullGrad": "sise.methods.fullgrad",
    "CentreGaussian": "sise.methods.trivial",
    "Noise": "sise.methods.trivial",
    "SobelEdges": "sise.methods.trivial",
    "Untrained": "sise.methods.untrained",
    "ModelBundle": "sise.bundle",
}

__all__ = [
    "RISE",
    "SISE",
    "AblationCAM",
    "CentreGaussian",
    "EigenCAM",
    "Explanation",
    "ExtremalPerturbation",
    "FullGrad",
    "GradCAM",
    "GradCAMpp",
    "GroupCAM",
    "HiResCAM",
    "IntegratedGradients",
    "LayerCAM",
    "LayerExplanation",
    "ModelBundle",
    "Noise",
    "ScoreCAM",
    "SobelEdges",
    "Untrained",
    "XGradCAM",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'sise' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
