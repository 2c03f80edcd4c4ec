import pytest
import torchvision

from training.cli import main
from training.networks import parameters


def test_the_list_as_a_pattern_asks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--list-architectures", "resnet[13][84]"]) == 0
    out, err = capsys.readouterr()
    assert [line.split() for line in out.splitlines()] == [
        ["network", "source", "imagenet", "parameters"],
        *(
            [f"resnet{depth}", "torchvision", "yes", millions, "M"]  # of torchvision's pages
            for depth, millions in [(18, "11.7"), (34, "21.8")]
        ),
    ]
    assert err.startswith("2 networks; ")


def test_of_all_networks_no_parameters_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--list-architectures"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].split() == ["network", "source", "imagenet"]
    assert "timm:tf_efficientnet_lite0" in out
    assert "give a pattern" in err


@pytest.mark.parametrize(
    ("words", "told"), [(["nope*"], "no network is called nope*"), (["a", "b"], "takes one")]
)
def test_what_cannot_be_listed(words: list[str], told: str, capsys) -> None:
    assert main(["fit", "--list-architectures", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_parameters_are_those_that_torchvision_says() -> None:
    said = torchvision.models.get_model_weights("mobilenet_v3_small").DEFAULT.meta["num_params"]
    assert parameters("mobilenet_v3_small") == said
