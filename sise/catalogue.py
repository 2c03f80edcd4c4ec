"""The methods by name, for command lines and tables: `METHODS`, and the words that choose one."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import yaml
from torch import nn

from sise.errors import SiseError
from sise.explainer import SISE
from sise.explanation import Explainer
from sise.methods.extremal_perturbation import ExtremalPerturbation
from sise.methods.fullgrad import FullGrad
from sise.methods.gradcam import GradCAM
from sise.methods.gradcam_pp import GradCAMpp
from sise.methods.integrated_gradients import IntegratedGradients
from sise.methods.layercam import LayerCAM
from sise.methods.rise import RISE
from sise.methods.scorecam import ScoreCAM
from sise.methods.trivial import CentreGaussian, Noise, SobelEdges
from sise.methods.untrained import Untrained


@dataclass(frozen=True)
class Method:
    """`make(model, **options)` is an explainer; `title` is what tables call it."""

    title: str
    make: Callable[..., Explainer]
    trivial: bool = False
    """Whether it knows nothing that the model has learnt: what others must beat."""


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "sise": Method("SISE", SISE),
        "gradcam": Method("Grad-CAM", GradCAM),
        "gradcam++": Method("Grad-CAM++", GradCAMpp),
        "extremal-perturbation": Method("Extremal Perturbation", ExtremalPerturbation),
        "rise": Method("RISE", RISE),
        "scorecam": Method("Score-CAM", ScoreCAM),
        "integrated-gradients": Method("Integrated Gradients", IntegratedGradients),
        "fullgrad": Method("FullGrad", FullGrad),
        "layercam": Method("LayerCAM", LayerCAM),
        "centre-gaussian": Method("centre Gaussian", CentreGaussian, trivial=True),
        "noise": Method("noise", Noise, trivial=True),
        "sobel": Method("Sobel edges", SobelEdges, trivial=True),
        "untrained": Method("SISE, untrained net", Untrained, trivial=True),
    }
)


@dataclass(frozen=True)
class Choice:
    """A method with options, as `text` names it: "sise:budget=94,context=reflect"."""

    text: str
    method: str
    options: Mapping[str, Any]

    @property
    def title(self) -> str:
        """For tables: the method's, with the options."""
        said = ", ".join(f"{key} {value}" for key, value in self.options.items())
        title = METHODS[self.method].title
        return f"{title} ({said})" if said else title

    @property
    def slug(self) -> str:
        """For file names."""
        return re.sub(r"[^A-Za-z0-9.+]+", "-", self.text).strip("-")

    @property
    def trivial(self) -> bool:
        return METHODS[self.method].trivial


def choose(text: str) -> Choice:
    """The method that `text` names, such as "rise" or "rise:n_masks=2000,seed=1".

    Raises SiseError for a method or an option that does not exist.
    """
    name, _, said = text.partition(":")
    if name not in METHODS:
        raise SiseError(f"method {name!r}: one of {', '.join(METHODS)}")
    options = {}
    for part in filter(None, said.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise SiseError(f"method {text!r}: {part!r} is no option; write name=value")
        options[key] = yaml.safe_load(value)
    known = _parameters(name)
    for key in options:
        if key not in known:
            raise SiseError(f"method {text!r} has no option {key!r}; one of {', '.join(known)}")
    return Choice(text, name, MappingProxyType(options))


def make(choice: Choice, model: nn.Module, shared: Mapping[str, Any]) -> Explainer:
    """The explainer of `model`. Of `shared` options, each method takes those that it knows.

    Raises SiseError for options that make no sense.
    """
    known = _parameters(choice.method)
    options = {key: value for key, value in shared.items() if key in known}
    return METHODS[choice.method].make(model, **{**options, **choice.options})


def _parameters(name: str) -> list[str]:
    """The options of a method."""
    signature = inspect.signature(METHODS[name].make)
    named = [key for key, p in signature.parameters.items() if p.kind is not p.VAR_KEYWORD]
    if any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()):
        named += [key for key in inspect.signature(SISE).parameters if key not in named]
    return [key for key in named if key not in ("model", "method")]
