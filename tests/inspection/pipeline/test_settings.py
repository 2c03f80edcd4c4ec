from dataclasses import fields
from pathlib import Path
from typing import get_args, get_type_hints

from inspection.commands.run import parser
from inspection.pipeline.settings import INSPECTING, SETTINGS, Settings, SiseOptions

ASKED = ["--bundle", "model", "--batch", "strips", "--out", "report"]
PATHS = (Path("model"), Path("strips"), Path("report"))


def test_options_left_out_are_the_settings_defaults() -> None:
    given = parser().parse_args(ASKED).as_dict()
    del given["config"]
    assert given["earlier"] == []
    assert Settings(**given | {"earlier": ()}) == Settings(*PATHS)


def test_every_setting_is_an_option_and_every_option_a_setting() -> None:
    given = parser().parse_args([*ASKED, "--earlier", "a", "b", "--batch-size", "7"])
    assert list(given.as_dict()) == ["config", *(one.name for one in fields(Settings))]
    assert (given.earlier, given.batch_size) == ([Path("a"), Path("b")], 7)


def test_words_say_whatever_a_setting_can_be() -> None:
    types = get_type_hints(Settings)
    told = {name: one.words for name, one in SETTINGS.items() if isinstance(one.words, dict)}
    assert told.keys() == {"explain", "fill", "evidence", "runner_up", "strip_pictures"}
    for name, words in told.items():
        choices = {True, False} if types[name] is bool else set(get_args(types[name]))
        assert words.keys() == choices
    budget, size = SETTINGS["budget"], SETTINGS["mm_per_px"]
    assert budget.said(None) == "exact, every mask scored"
    assert budget.said("auto") == "masks scored until the map has settled"
    assert budget.said(20) == "at most 20 forward passes per patch, other scores estimated"
    assert [size.said(value) for value in (None, 0.25)] == ["not given", "0.25 mm"]


def test_those_of_an_explanation_can_be_had_alone() -> None:
    assert Settings(*PATHS, budget=7, fusion="hard").sise == SiseOptions(7, fusion="hard")


def test_a_second_command_takes_what_judges_and_explains() -> None:
    assert set(SETTINGS) - set(INSPECTING) == {
        "bundle", "batch", "out", "jobs", "engine", "ray_address", "fail_on", "truth", "earlier",
        "by", "language",
    }  # fmt: skip
