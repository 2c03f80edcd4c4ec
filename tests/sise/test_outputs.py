import json
import os
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from severstal_prep.files import replacing
from sise.cli import main
from sise.commands.options import OTHERS
from sise.devices import choose_device
from sise.errors import OutputError, SiseError
from sise.failures import SPACE, in_words
from sise.images import write_whole
from sise.outputs import MARK, check_apart, check_file, check_folder, claim, holds


def never(_: Path) -> bool:
    return False


def test_new_and_empty_folders_are_claimed_and_known_again(tmp_path: Path) -> None:
    for out in (tmp_path / "a" / "new", tmp_path / "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        claim(out, never, [], "evaluate", {})
        (out / "summary.md").write_text("ours")
        claim(out, never, [], "evaluate", {})
        assert sorted(path.name for path in out.iterdir()) == [MARK, "summary.md"]


def test_a_folder_of_others_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    def known(out: Path) -> bool:
        return holds(out / "card.json", format="ours")

    (tmp_path / "card.json").write_text("{}")
    with pytest.raises(OutputError, match=r"holds files of others \(card.json, for one\)"):
        claim(tmp_path, known, [], "sanity", {})
    assert [path.name for path in tmp_path.iterdir()] == ["card.json"]
    (tmp_path / "card.json").write_text('{"format": "ours"}')
    claim(tmp_path, known, [], "sanity", {})
    with pytest.raises(OutputError, match="a file; name a folder"):
        check_folder(tmp_path / "card.json", never)


@pytest.mark.parametrize(
    ("file", "writer", "command"),
    [
        ("similarities.jsonl", "sanity", "evaluate"),
        ("similarities.jsonl", "sanity", "ablate"),
        ("ablation.md", "ablate", "evaluate"),
        ("summary.html", "evaluate", "ablate"),
        ("rows.jsonl", "evaluate", "sanity"),
    ],
)
@pytest.mark.parametrize("empty", [True, False])
def test_no_command_writes_over_another_s_results(
    tmp_path: Path, file: str, writer: str, command: str, empty: bool
) -> None:
    claim(tmp_path, never, [], writer, OTHERS[writer])
    assert (tmp_path / MARK).read_text() == f"{writer}\n"
    (tmp_path / file).write_text("results")
    if empty:
        (tmp_path / MARK).write_text("")
    with pytest.raises(OutputError, match=f"results of sise {writer}; name a new or empty"):
        claim(tmp_path, never, [], command, OTHERS[command])
    claim(tmp_path, never, [], writer, OTHERS[writer])
    assert (tmp_path / file).read_text() == "results"


def test_inputs_stay_as_they_are(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "link").symlink_to(data)
    for out, where in (
        (data, "is"),
        (data / "sub" / "results", "lies in"),
        (tmp_path / "link", "is"),
        (tmp_path / "link" / "x", "lies in"),
        (data / ".." / "data", "is"),
    ):
        with pytest.raises(OutputError, match=f"{where} .*data, which is read"):
            check_apart(out, [tmp_path / "other", data])
    check_apart(tmp_path / "data-2", [data])


def test_a_file_is_known_by_what_it_says(tmp_path: Path) -> None:
    file = tmp_path / "x.pdf"
    check_file(file, b"% ours")
    file.write_bytes(b"%PDF-1.7 somebody's thesis")
    with pytest.raises(OutputError, match="a file of others; name another, or remove it"):
        check_file(file, b"% ours")
    file.write_bytes(b"%PDF-1.7 %%EOF\n% ours\n")
    check_file(file, b"% ours")


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"a": 1}', "[" * 9999, "null", '"format"'])
def test_what_holds_no_card(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    assert not holds(tmp_path / "x.json", format="ours")
    assert not holds(tmp_path / "none.json")
    (tmp_path / "x.json").write_text(json.dumps({"format": "ours", "b": None}))
    assert holds(tmp_path / "x.json", format="ours", b=...)


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "", "meta", "cuda:x", "xpu", "mps:3"])
def test_a_device_that_is_not_here(name: str) -> None:
    with pytest.raises(SiseError, match=f"--device {name}: .*(give|use|counted)"):
        choose_device(name)


def test_devices_that_are_here() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_no_gpu() -> None:
    with pytest.raises(SiseError, match="--device cuda: PyTorch finds no CUDA device here"):
        choose_device("cuda")


def test_explain_writes_over_no_file_of_others(tmp_path: Path) -> None:
    from sise.explain_outputs import FILES, all_or_none, claim

    image = tmp_path / "images" / "a.png"
    for name in ("a.json", *(f"a_{kind}" for kind in FILES)):
        out = tmp_path / name.replace(".", "-")
        out.mkdir()
        (out / "notes.txt").write_text("of no concern")
        claim(out, [image])
        (out / name).write_text('{"shapes": []}')
        with pytest.raises(OutputError, match=f"{name}: a file of others"):
            claim(out, [image])
        assert (out / name).read_text() == '{"shapes": []}'
        ours = {"image_sha256": "1", "bundle_sha256": "2", "settings": {}}
        (out / "a.json").write_text(json.dumps(ours))
        claim(out, [image])
        with suppress(KeyboardInterrupt), all_or_none(out / "a.json", out / name):
            (out / name).write_text("half")
            raise KeyboardInterrupt
        assert [path.name for path in out.iterdir()] == ["notes.txt"]


def test_pipes_and_devices_are_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def with_replacing() -> None:
        with replacing(pipe) as temporary:
            temporary.write_text("x")

    for write in (
        lambda: write_whole(pipe, lambda path: path.write_text("x")),
        lambda: check_file(pipe, b"ours"),
        with_replacing,
    ):
        with pytest.raises(OSError, match="no ordinary file; name another place") as caught:
            write()
        assert in_words(caught.value) == f"{pipe}: no ordinary file; name another place"
    assert pipe.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_a_short_write_of_numpy_is_a_full_disk() -> None:
    assert in_words(OSError("409600 requested and 16352 written")) == SPACE


def test_sise_prints_an_error_that_names_a_line_break_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked = ["explain", "--bundle", f"{tmp_path}/a\nb", "--image", "x", "--out", f"{tmp_path}/o"]
    assert main(asked) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "a\\nb" in said
