"""Commands on places that fsspec reaches: a local S3 server, and fsspec's memory."""

import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonargparse import Namespace

import severstal_prep.cli
from severstal_prep import remote
from severstal_prep.console import track

ROOT = Path(__file__).parents[1]


def test_both_modules_are_the_same_letter_by_letter() -> None:
    ours = (ROOT / "severstal_prep" / "remote.py").read_text("utf-8")
    assert (ROOT / "sise" / "remote.py").read_text("utf-8") == ours


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setenv("STEEL_CACHE", str(tmp_path / "cache"))
    return emptied()


def emptied() -> Any:
    system = fsspec.filesystem("memory")
    for kept in (system.store, system.pseudo_dirs):
        kept.clear()
    system.pseudo_dirs.append("")
    return system


def run(command: Any, **options: Any) -> Any:
    """`command`, on options that have become paths, as jsonargparse makes them."""
    return remote.carried(command, Namespace(**options), track)


def put(system: Any, **files: str) -> None:
    for name, text in files.items():
        system.pipe_file(f"/in/{name}", text.encode())


def texts(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text("utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


def there(system: Any, place: str) -> dict[str, str]:
    found = system.find(f"/{place}")
    return {path.removeprefix(f"/{place}/"): system.cat_file(path).decode() for path in found}


def test_only_what_changed_is_fetched_again(memory: Any, capsys: Any) -> None:
    put(memory, a="1", b="2", c="3")
    read = lambda options: (options.data, texts(options.data))  # noqa: E731
    folder, found = run(read, data=Path("memory://in"))
    assert (folder.name, found) == ("in", {"a": "1", "b": "2", "c": "3"})
    inodes = {name: (folder / name).stat().st_ino for name in found}
    memory.rm_file("/in/b")
    put(memory, c="4", d="5")
    (folder / "cache").write_text("kept", "utf-8")  # as crops that a training decoded
    assert run(read, data=Path("memory://in"))[1] == {"a": "1", "c": "4", "d": "5", "cache": "kept"}
    assert (folder / "a").stat().st_ino == inodes["a"]
    assert run(read, data=Path("memory://in"))[1]["c"] == "4"
    told = [line.rpartition(",")[0] for line in capsys.readouterr().err.splitlines()]
    assert told == ["fetching memory://in: 3/3", "fetching memory://in: 2/2"]


FOLDERS = st.dictionaries(
    st.sampled_from(["a", "a/b", "a/b/c", "d", "d/e"]), st.sampled_from(["", "1", "22"]), min_size=1
).filter(lambda files: not any(f"{one}/" in other for one in files for other in files))


@given(st.lists(FOLDERS, min_size=2, max_size=4))
@settings(max_examples=20)
def test_a_copy_is_what_is_there_and_a_place_what_was_made(states: list[dict[str, str]]) -> None:
    def make(options: Namespace) -> None:
        assert texts(options.out) == made
        shutil.rmtree(options.out, ignore_errors=True)
        for name, text in state.items():
            (options.out / name).parent.mkdir(parents=True, exist_ok=True)
            (options.out / name).write_text(text, "utf-8")

    made: dict[str, str] = {}
    with TemporaryDirectory() as cache, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEEL_CACHE", cache)
        system = emptied()
        for state in states:
            system.pseudo_dirs[:] = [""]  # buckets have no folders that are empty
            run(make, out=Path("memory://made"))
            assert there(system, "made") == state
            assert run(lambda options: texts(options.data), data=Path("memory://made")) == state
            made = state


def test_a_copy_that_was_damaged_is_fetched_again(memory: Any) -> None:
    put(memory, a="whole")
    run(lambda options: os.truncate(options.data / "a", 2), data=Path("memory://in"))
    assert run(lambda options: texts(options.data), data=Path("memory://in")) == {"a": "whole"}


@pytest.mark.parametrize("name", ["lock", "state.json", "fetched", "copy"])
def test_a_place_may_have_any_name(name: str, memory: Any) -> None:
    put(memory, **{name: "its own"})
    address = Path(f"MEMORY://in/{name}")
    for _ in range(2):
        assert run(lambda options: options.truth.read_text("utf-8"), truth=address) == "its own"
    run(lambda options: options.out.write_text("ours", "utf-8"), out=address)
    assert there(memory, "in") == {name: "ours"}


def test_lists_and_single_files(memory: Any) -> None:
    put(memory, a="1", b="2")
    images = [Path("memory://in/a"), Path("here"), Path("memory://in/b")]
    given = run(lambda options: options.image, image=images)
    assert [path.name for path in given] == ["a", "here", "b"]
    assert [path.read_text() for path in (given[0], given[2])] == ["1", "2"]


def test_a_result_is_carried_to_its_place_and_continued(memory: Any) -> None:
    def step(options: Namespace) -> None:
        options.out.mkdir(exist_ok=True)
        texts_before = texts(options.out)
        (options.out / "log").write_text("".join(texts_before.values()) + "x", "utf-8")
        (options.out / "work").mkdir(exist_ok=True)
        (options.out / "work" / f"{len(texts_before)}").write_text("y", "utf-8")

    run(step, out=Path("memory://made"))
    assert there(memory, "made") == {"log": "x", "work/0": "y"}
    run(step, out=Path("memory://made"))
    assert there(memory, "made") == {"log": "xyx", "work/0": "y", "work/2": "y"}


def test_what_ended_early_is_carried_too(memory: Any) -> None:
    def interrupted(options: Namespace) -> None:
        options.out.mkdir()
        (options.out / "half").write_text("1", "utf-8")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(interrupted, out=Path("memory://made"))
    assert there(memory, "made") == {"half": "1"}


def test_a_result_loses_only_its_own_files(memory: Any) -> None:
    memory.pipe_file("/made/old", b"1")
    memory.pipe_file("/made/kept", b"2")

    def work(options: Namespace) -> None:
        memory.pipe_file("/made/of others", b"3")
        (options.out / "old").unlink()

    run(work, out=Path("memory://made"))
    assert there(memory, "made") == {"kept": "2", "of others": "3"}


def test_what_others_changed_meanwhile_is_left_alone(memory: Any) -> None:
    memory.pipe_file("/made/a", b"1")

    def work(options: Namespace) -> None:
        memory.pipe_file("/made/a", b"theirs")
        (options.out / "a").write_text("ours", "utf-8")

    with pytest.raises(OSError, match="changed there while this command ran") as failed:
        run(work, out=Path("memory://made"))
    assert failed.value.filename == "memory://made"
    assert there(memory, "made") == {"a": "theirs"}


class CutError(Exception):
    """The network is gone."""


@pytest.mark.parametrize("cut_at", range(1, 7))
def test_what_says_whole_is_removed_first_and_written_last(
    cut_at: int, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def noted(sign: str, method: Any) -> Any:
        def call(self: Any, *paths: str, **more: Any) -> None:
            done.append(f"{sign}{Path(paths[-1]).name}")
            if len(done) == cut_at + 4:
                raise CutError
            method(self, *paths, **more)

        return call

    names = ("SHA256SUMS", "a", "batch.json", "b")

    def make(options: Namespace) -> None:
        options.out.mkdir(exist_ok=True)
        for name in names:
            (options.out / name).write_text(text, "utf-8")

    kind = type(memory)
    monkeypatch.setattr(kind, "put_file", noted("+", kind.put_file))
    monkeypatch.setattr(kind, "rm_file", noted("-", kind.rm_file))
    text = "1"
    run(make, out=Path("memory://made"))
    first = ["+a", "+b", "+batch.json", "+SHA256SUMS"]
    assert done == first
    text = "22"
    with pytest.raises(OSError, match="CutError: ; what was made is kept here"):
        run(make, out=Path("memory://made"))
    assert done == [*first, *["-batch.json", "-SHA256SUMS", *first][:cut_at]]
    found = there(memory, "made")
    whole = {"batch.json", "SHA256SUMS"} <= found.keys()
    assert whole == (cut_at == 1)
    assert not whole or set(found.values()) == {"1"}
    assert run(lambda options: texts(options.out), out=Path("memory://made")) == dict.fromkeys(
        names, "22"
    )
    assert there(memory, "made") == dict.fromkeys(names, "22")


def test_another_machine_goes_on_where_one_was_cut_off(
    memory: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(options: Namespace) -> None:
        options.out.mkdir()
        (options.out / "half").write_text("1", "utf-8")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(interrupted, out=Path("memory://made"))
    monkeypatch.setenv("STEEL_CACHE", str(tmp_path / "another machine"))
    assert run(lambda options: texts(options.out), out=Path("memory://made")) == {"half": "1"}


def test_a_killed_command_leaves_its_work_here_unless_the_place_changed(memory: Any) -> None:
    copy = remote._Copy.of("memory://made", written=True)

    def killed_after(text: str) -> None:
        copy.local.mkdir(parents=True, exist_ok=True)
        (copy.local / "work").write_text(text, "utf-8")
        copy._note(remote._State(copy._state().files, open=True))

    killed_after("1")
    assert run(lambda options: texts(options.out), out=Path("memory://made")) == {"work": "1"}
    killed_after("2")
    memory.pipe_file("/made/work", b"by another machine")
    found = run(lambda options: texts(options.out), out=Path("memory://made"))
    assert found == {"work": "by another machine"}


def test_two_commands_do_not_write_to_one_place(memory: Any) -> None:
    def twice(options: Namespace) -> None:
        run(print, out=Path("memory://made"))

    with pytest.raises(OSError, match="another command on this machine writes there"):
        run(twice, out=Path("memory://made"))


@pytest.mark.parametrize("key", ["../evil", "a/../../evil", "/etc/evil", "a//b", "x\0y", "n" * 256])
def test_no_name_leads_out_of_the_copy(key: str, memory: Any, tmp_path: Path) -> None:
    put(memory, fine="1")
    memory.store["/in/" + key] = memory.store["/in/fine"]
    with pytest.raises(OSError, match="which no file of a folder can be called") as failed:
        run(lambda options: texts(options.data), data=Path("memory://in"))
    assert failed.value.filename == "memory://in"
    assert list(tmp_path.rglob("*evil*")) == []


@pytest.mark.parametrize("address", ["sftp://me:word@host/x", "https://host/a.csv?sign=word"])
def test_no_address_tells_a_secret(address: str, memory: Any) -> None:
    with pytest.raises(OSError, match="holds a password or key") as failed:
        run(print, data=Path(address))
    assert failed.value.filename == f"{address.partition('://')[0]}://host/…"
    assert "word@" not in str(failed.value) + str(failed.value.filename)


def test_results_do_not_go_into_what_is_read(memory: Any) -> None:
    put(memory, a="1")
    with pytest.raises(OSError, match="lies in memory://in, which is read"):
        run(print, data=Path("memory://in"), out=Path("memory://in/made"))


def test_a_place_too_large_for_the_disk(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    put(memory, a="1" * 50)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 49}))
    with pytest.raises(OSError, match=r"0\.0 GB, more than .* STEEL_CACHE"):
        run(print, data=Path("memory://in"))


def test_file_addresses_are_local_paths(tmp_path: Path) -> None:
    assert run(lambda options: options.data, data=Path(f"file://{tmp_path}/x")) == tmp_path / "x"


def prep(*arguments: object) -> int:
    return severstal_prep.cli.main([str(one) for one in arguments])


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("s3://none/x", "s3://none/x: no such bucket or folder; check the address"),
        ("s3://steel/none", "s3://steel/none: nothing is there; check the address"),
        ("foo://x", "foo://x: foo:// is unknown; s3:// and gs:// are known, and what fsspec knows"),
        ("simplecache::s3://a", "simplecache::s3://a: no address of a folder or file; check it"),
        ("s3://steel/a/../b", "s3://steel/a/../b: no address of a folder or file; check it"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_line(
    address: str, told: str, bucket: Any, capsys: Any
) -> None:
    assert prep("check", address) == 2
    assert capsys.readouterr().err == f"severstal-prep: {told}\n"


def test_a_place_without_credentials_is_one_line(
    bucket: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    fsspec.filesystem("s3").clear_instance_cache()
    assert prep("check", "s3://steel/x") == 2
    told = "s3://steel/x: no valid credentials (Unable to locate credentials); see docs/remote.md"
    assert capsys.readouterr().err == f"severstal-prep: {told}\n"


@pytest.mark.parametrize(("scheme", "module"), [("s3", "s3fs"), ("gs", "gcsfs")])
def test_a_missing_extra_is_one_line(
    scheme: str, module: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, scheme, raising=False)
    assert prep("check", f"{scheme}://steel/x") == 2
    told = f'severstal-prep: {scheme}://steel/x: needs pip install "steel-sise[remote]"\n'
    assert capsys.readouterr().err == told


def test_a_reader_waits_for_others_where_the_place_changed(
    memory: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    put(memory, a="1")
    held, hold = [], remote._hold

    def noted(lock: int, how: Any) -> None:
        held.append(how)
        hold(lock, "alone, now" if how == "alone" else how)

    monkeypatch.setattr(remote, "_hold", noted)
    read = lambda options: texts(options.data)  # noqa: E731
    assert run(read, data=Path("memory://in")) == {"a": "1"}
    assert held == ["shared", "alone, now", "shared"]
    held.clear()

    def read_twice(options: Namespace) -> Any:
        assert run(read, data=Path("memory://in")) == {"a": "1"}  # two may read at once
        put(memory, a="2")
        return run(read, data=Path("memory://in"))

    with pytest.raises(BlockingIOError):  # where the other would wait
        run(read_twice, data=Path("memory://in"))
    assert held == ["shared", "shared", "shared", "alone, now", "alone"]
