import pytest
from explainers import EXPLAINERS, IMPLEMENTATIONS
from networks import small_cnn, some_images

from sise import SISE
from sise.errors import SiseError
from sise.registry import METHODS, defaults, make_explainer, parse_spec, parse_specs

SHARED = {"precision": "fp32", "batch_size": 7, "backend": "torch", "compile": False}


def test_a_name_alone_is_the_method_with_its_own_options() -> None:
    spec = parse_spec("rise")
    assert (spec.method, dict(spec.options)) == ("rise", {})
    assert (spec.title, spec.slug, spec.trivial) == ("RISE", "rise", False)


def test_options_are_read_as_yaml_and_named_in_the_title() -> None:
    spec = parse_spec("extremal-perturbation:areas=[0.1,0.2],steps=3,fill=grey")
    assert dict(spec.options) == {"areas": [0.1, 0.2], "steps": 3, "fill": "grey"}
    assert spec.title == "Extremal Perturbation (areas [0.1, 0.2], steps 3, fill grey)"
    assert spec.slug == "extremal-perturbation-areas-0.1-0.2-steps-3-fill-grey"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("lime", r"^method 'lime': one of sise, gradcam"),
        ("rise:masks=3", r"^method 'rise:masks=3' has no option 'masks'; one of n_masks, cells"),
        ("rise:n_masks", "^method 'rise:n_masks': write options as name=value,name=value"),
        ("rise:seed=1,seed=2", "^method 'rise:seed=1,seed=2': write options as"),
        ("rise:n_masks=[1", r"^method 'rise:n_masks=\[1': write options as name=value,name=value"),
        ("sise:model=3", r"has no option 'model'"),
    ],
)
def test_what_does_not_exist_is_told(text: str, complaint: str) -> None:
    with pytest.raises(SiseError, match=complaint):
        parse_spec(text)


def test_the_truth_is_a_row_and_no_method() -> None:
    spec = parse_spec("truth")
    assert (spec.title, spec.slug, spec.trivial, spec.is_truth) == (
        "ground truth", "truth", False, True
    )  # fmt: skip
    assert not parse_spec("sise").is_truth
    with pytest.raises(SiseError, match="'truth' is no method but a row of sise evaluate; leave"):
        make_explainer(spec, small_cnn(), SHARED)
    with pytest.raises(SiseError, match="method 'truth:a=1': truth has no options"):
        parse_spec("truth:a=1")


def test_two_choices_for_the_same_files_are_refused() -> None:
    with pytest.raises(SiseError, match=r"'sise:mu=0\.3' and 'sise:mu= 0\.3' are the same"):
        parse_specs(["sise:mu=0.3", "sise:mu= 0.3"])
    with pytest.raises(SiseError, match="'rise' and 'rise' are the same"):
        parse_specs(["rise", "gradcam", "rise"])


def test_a_method_takes_the_shared_options_that_it_knows_and_its_own_before_them() -> None:
    model = small_cnn()
    explainer = make_explainer(parse_spec("sise:batch_size=3,mu=0.5"), model, SHARED)
    assert isinstance(explainer, SISE)
    assert explainer.mu == 0.5
    assert explainer.engine.options.batch_size == 3
    assert explainer.engine.options.precision == "fp32"
    make_explainer(parse_spec("noise"), model, SHARED)  # knows no backend: not an error


def test_every_method_of_the_registry_explains() -> None:
    model, images = small_cnn(), some_images(1)
    cheap = {"rise": "rise:n_masks=4", "extremal-perturbation": "extremal-perturbation:steps=1"}
    for name, method in METHODS.items():
        explainer = make_explainer(parse_spec(cheap.get(name, name)), model, SHARED)
        assert explainer(images, target=1).targets.tolist() == [1], method.title


@pytest.mark.parametrize("text", ["rise:n_masks=many", "extremal-perturbation:areas=0.1"])
def test_options_of_the_wrong_kind_are_one_line(text: str) -> None:
    with pytest.raises(SiseError, match=f"^method '{text}': "):
        make_explainer(parse_spec(text), small_cnn(), SHARED)


def test_untrained_takes_the_options_of_sise() -> None:
    model, images = small_cnn(), some_images(1)
    few = make_explainer(parse_spec("untrained:budget=4"), model, SHARED)(images)
    assert few.forwards.tolist() == [5]


RUN = {"output": "softmax", "precision": "auto", "batch_size": "auto"}
CAM = {**RUN, "layers": None}
SCORED = {**RUN, "fill": "grey", "backend": "torch", "compile": False}
SISES = {
    **SCORED, "mu": 0.0, "budget": None, "layers": None, "fusion": "hard", "context": None,
    "evidence": "kept",
}  # fmt: skip
# Written out by hand: options and defaults decide command lines, records and keys of maps.
OPTIONS = {
    "sise": SISES,
    "gradcam": CAM,
    "gradcam++": CAM,
    "extremal-perturbation": {
        **RUN, "areas": (0.025, 0.05, 0.1, 0.2), "steps": 200, "fill": "blur"
    },
    "rise": {**SCORED, "n_masks": 4000, "cells": 8, "share": 0.5, "seed": 0},
    "scorecam": {**SCORED, "layers": None},
    "integrated-gradients": {**RUN, "steps": 50, "fill": "grey"},
    "fullgrad": {**RUN, "rescale": "channel"},
    "adasise": {**SISES, "mu": "otsu"},
    "ablationcam": CAM,
    "groupcam": {**SCORED, "groups": 32, "layers": None, "fill": "blur"},
    "layercam": CAM,
    "hirescam": CAM,
    "xgradcam": CAM,
    "eigencam": CAM,
    "centre-gaussian": RUN,
    "noise": {**RUN, "seed": 0},
    "sobel": RUN,
    "untrained": {**SISES, "seed": 0},
}  # fmt: skip


def test_options_and_defaults_of_every_method() -> None:
    assert {name: defaults(name) for name in METHODS} == OPTIONS


@pytest.mark.parametrize("name", METHODS)
def test_an_option_that_a_method_does_not_have_is_told(name: str) -> None:
    with pytest.raises(TypeError, match="got an unexpected keyword argument 'fil'"):
        METHODS[name].make(small_cnn(), fil="grey")


def test_every_way_to_run_a_model_is_among_the_implementations() -> None:
    kinds = {name: getattr(made, "func", made) for name, made in EXPLAINERS.items()}
    own = {kinds[name]._explain for name in IMPLEMENTATIONS}
    assert own == {kind._explain for kind in kinds.values()}
