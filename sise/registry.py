"""The methods by name, for command lines and tables: `METHODS`, and the words that name one."""

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import yaml

import sise
from sise.errors import SiseError

if TYPE_CHECKING:
    from torch import nn

    from sise.explanation import Explainer


@dataclass(frozen=True)
class Method:
    """A method by its class in `sise`, which is loaded on first use: `--help` lists the methods.

    `title` is what tables call it; `preset` are options that make it another method.
    """

    title: str
    class_name: str
    preset: Mapping[str, Any] = field(default_factory=dict)
    trivial: bool = False
    """Whether it knows nothing that the model has learnt: what others must beat."""

    @property
    def make(self) -> "Callable[..., Explainer]":
        """`make(model, **options)` is an explainer."""
        return partial(getattr(sise, self.class_name), **self.preset)


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "sise": Method("SISE", "SISE"),
        "gradcam": Method("Grad-CAM", "GradCAM"),
        "gradcam++": Method("Grad-CAM++", "GradCAMpp"),
        "extremal-perturbation": Method("Extremal Perturbation", "ExtremalPerturbation"),
        "rise": Method("RISE", "RISE"),
        "scorecam": Method("Score-CAM", "ScoreCAM"),
        "integrated-gradients": Method("Integrated Gradients", "IntegratedGradients"),
        "fullgrad": Method("FullGrad", "FullGrad"),
        "adasise": Method("Ada-SISE", "SISE", {"mu": "otsu"}),
        "ablationcam": Method("Ablation-CAM", "AblationCAM"),
        "groupcam": Method("Group-CAM", "GroupCAM"),
        "layercam": Method("LayerCAM", "LayerCAM"),
        "hirescam": Method("HiResCAM", "HiResCAM"),
        "xgradcam": Method("XGrad-CAM", "XGradCAM"),
        "eigencam": Method("Eigen-CAM", "EigenCAM"),
        "centre-gaussian": Method("centre Gaussian", "CentreGaussian", trivial=True),
        "noise": Method("noise", "Noise", trivial=True),
        "sobel": Method("Sobel edges", "SobelEdges", trivial=True),
        "untrained": Method("SISE, untrained net", "Untrained", trivial=True),
    }
)

TRUTH = "truth"
"""The ground truth itself as a row beside the methods of an evaluation; no model makes it."""


@dataclass(frozen=True)
class MethodSpec:
    """A method with options, as `text` names it: "sise:budget=94,context=reflect"."""

    text: str
    method: str
    options: Mapping[str, Any]

    @property
    def title(self) -> str:
        """For tables: the method's, with the options."""
        if self.is_truth:
            return "ground truth"
        said = ", ".join(f"{key} {value}" for key, value in self.options.items())
        title = METHODS[self.method].title
        return f"{title} ({said})" if said else title

    @property
    def slug(self) -> str:
        """For file names."""
        return re.sub(r"[^A-Za-z0-9.+]+", "-", self.text).strip("-")

    @property
    def trivial(self) -> bool:
        return not self.is_truth and METHODS[self.method].trivial

    @property
    def is_truth(self) -> bool:
        return self.method == TRUTH


def parse_spec(text: str) -> MethodSpec:
    """The method that `text` names, such as "rise" or "rise:n_masks=2000,seed=1".

    Raises SiseError for a method or an option that does not exist, and for a number that is not
    finite.
    """
    name, _, said = text.partition(":")
    if name == TRUTH:
        if text != TRUTH:
            raise SiseError(f"method {text!r}: {TRUTH} has no options")
        return MethodSpec(TRUTH, TRUTH, MappingProxyType({}))
    if name not in METHODS:
        raise SiseError(f"method {name!r}: one of {', '.join(METHODS)}")
    try:
        options = yaml.safe_load(f"{{{said.replace('=', ': ')}}}")
    except (yaml.YAMLError, ValueError, RecursionError):
        options = None
    if options is None or len(options) != said.count("="):
        raise SiseError(f"method {text!r}: write options as name=value,name=value")
    known = defaults(name)
    for key in options:
        if key not in known:
            raise SiseError(f"method {text!r} has no option {key!r}; one of {', '.join(known)}")
    check_plain(f"method {text!r}", options)
    return MethodSpec(text, name, MappingProxyType(options))


def check_plain(what: str, options: Mapping[str, Any]) -> None:
    """Raise SiseError for an option that a record in JSON cannot hold."""
    for name, value in options.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise SiseError(f"{what}: {name} is {value}, no finite number and no word") from error


def parse_specs(texts: Sequence[str]) -> tuple[MethodSpec, ...]:
    """The methods that `texts` name. Raises SiseError if two would write the same files."""
    specs = tuple(parse_spec(text) for text in texts)
    slugs: dict[str, MethodSpec] = {}
    for spec in specs:
        if spec.slug in slugs:
            raise SiseError(f"methods {slugs[spec.slug].text!r} and {spec.text!r} are the same")
        slugs[spec.slug] = spec
    return specs


def make_explainer(spec: MethodSpec, model: "nn.Module", shared: Mapping[str, Any]) -> "Explainer":
    """The explainer of `model`. Of `shared` options, each method takes those that it knows.

    Raises SiseError for options that make no sense.
    """
    if spec.is_truth:
        raise SiseError(f"{TRUTH!r} is no method but a row of sise evaluate; leave it out")
    known = defaults(spec.method)
    options = {key: value for key, value in shared.items() if key in known}
    try:
        return METHODS[spec.method].make(model, **{**options, **spec.options})
    except (TypeError, ValueError) as error:
        if not spec.options:
            raise
        raise SiseError(f"method {spec.text!r}: {error}") from error


def defaults(method: str) -> dict[str, Any]:
    """A method's options and their defaults; those of SISE too where it is SISE in other hands."""
    parameters = dict(inspect.signature(METHODS[method].make).parameters)
    if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        parameters = {**inspect.signature(sise.SISE).parameters, **parameters}
    return {
        name: one.default
        for name, one in parameters.items()
        if one.kind is not one.VAR_KEYWORD and name not in ("model", "method")
    }
