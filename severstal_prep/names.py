"""Which file a name in a list means, where case, Unicode form or suffix differ."""

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from severstal_prep.images import IMAGE_SUFFIXES


@dataclass(frozen=True)
class Matched:
    """`files` by listed name; `unclear` says of others why they have none, and `unclear_files`
    are those that they may mean; both lack names for which there is no file. `notes` sum up
    what differs."""

    files: Mapping[str, str]
    unclear: Mapping[str, str]
    unclear_files: frozenset[str]
    notes: tuple[str, ...]


def match_names(listed: Iterable[str], there: Iterable[str]) -> Matched:
    """Find for each listed file name the one file there that it can mean.

    The same name comes first; then one that differs in its Unicode form, then in case too, then
    in the suffix of an image too. A file is meant by one listed name at most.
    """
    names, free = list(dict.fromkeys(listed)), set(there)
    files = {name: name for name in names if name in free}
    free -= files.keys()
    unclear: dict[str, str] = {}
    unclear_files: set[str] = set()
    notes = []
    for what, key in _KEYS.items():
        wanted, files_by_key = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
        for name in names:
            if name not in files and name not in unclear:
                wanted[key(name)].append(name)
        for file in sorted(free):
            files_by_key[key(file)].append(file)
        new = {}
        for plain, meant in wanted.items():
            candidates = files_by_key.get(plain, [])
            if len(meant) == len(candidates) == 1:
                new[meant[0]] = candidates[0]
            elif candidates:
                unclear |= dict.fromkeys(meant, _unclear(meant, candidates))
                unclear_files.update(candidates)
        if new:
            name, file = next(iter(new.items()))
            count = "1 name differs" if len(new) == 1 else f"{len(new)} names differ"
            notes.append(f"{count} from the file in {what} ({name!r} is the file {file!r})")
        files |= new
        free -= set(new.values())
    taken = {_without_suffix(file): (name, file) for name, file in files.items()}
    for name in names:
        if name not in files and name not in unclear and _without_suffix(name) in taken:
            other, file = taken[_without_suffix(name)]
            unclear[name] = _unclear([name, other], [file])
    return Matched(files, unclear, frozenset(unclear_files), tuple(notes))


def _unclear(meant: list[str], candidates: list[str]) -> str:
    if len(candidates) > 1:
        several = " or ".join(map(repr, candidates[:3]))
        return f"{meant[0]!r} can mean the file {several}: write the name as the file has it"
    return (
        f"{' and '.join(map(repr, meant[:3]))} can mean the same file, {candidates[0]!r}: "
        "write one name in all its rows"
    )


def _unicode_form(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _case(name: str) -> str:
    return _unicode_form(_unicode_form(name).casefold())


def _without_suffix(name: str) -> str:
    plain = _case(name)
    suffix = PurePath(plain).suffix
    return plain.removesuffix(suffix) if suffix in IMAGE_SUFFIXES else plain


_KEYS: Mapping[str, Callable[[str], str]] = {
    "Unicode form": _unicode_form,
    "case": _case,
    "suffix": _without_suffix,
}
