"""A wrong command line, told in a line: what is wrong, what was meant, where to read on.

`severstal_prep` and `sise` import nothing of each other: each has this module, word for word.
"""

import re
import sys
from argparse import Action
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import pairwise, takewhile
from pathlib import Path

from jsonargparse import ArgumentError, ArgumentParser, Namespace

WRONG_USAGE = 2
KINDS = {
    "float": "a number such as 0.4",
    "int": "a whole number",
    "bool": "true or false",
    "PositiveInt": "a whole number above 0",
    "NonNegativeInt": "a whole number, 0 or more",
    "PositiveFloat": "a number above 0",
    "NonNegativeFloat": "a number, 0 or more",
    "NoneType": "null",
    "dict": 'JSON such as {"class 1": 0.4}',
}
LONGEST = 300
_KIND = re.compile(r"Literal\[(.*?)\]|<class '(?:[\w.]*\.)?(\w+)'>|type (\w+): ")
_GIVEN = re.compile(r"(?:Given|Got) value: (.*)|: (\S*) does not conform")


def parse(parser: ArgumentParser, args: Sequence[str]) -> Namespace:
    """Parse `args`; what is wrong with them is a line on stderr, and exit code 2.

    The parser must be made with `exit_on_error=False`.
    """
    try:
        for path in _option_files(args):
            _check(path)
        return parser.parse_args(list(args))
    except ArgumentError as error:
        chosen = _chosen(parser, args)
        program = re.sub(r" \[options\]", "", chosen.prog)
        words = in_words(str(error), chosen, args)
        print(f"{program}: {words}; see {program} --help", file=sys.stderr)
        raise SystemExit(WRONG_USAGE) from error
    except RuntimeError as error:  # jsonargparse stumbles over entries where a list belongs
        words = "entries (name: value) where a list of values belongs"
        print(f"{parser.prog}: {words}; see {parser.prog} --help", file=sys.stderr)
        raise SystemExit(WRONG_USAGE) from error


def _option_files(args: Sequence[str]) -> list[Path]:
    """The files that --config names; one that is missing is jsonargparse's to tell."""
    named = [after for arg, after in pairwise(args) if _is_config(arg)]
    named += [arg.partition("=")[2] for arg in args if _is_config(arg.partition("=")[0])]
    return [path for path in map(Path, filter(None, named)) if path.is_file()]


def _is_config(flag: str) -> bool:
    """Whether it is --config, which may be cut short."""
    return len(flag) > len("--c") and "--config".startswith(flag)


def _check(path: Path) -> None:
    """Refuse what jsonargparse would hang or fail at: aliases of aliases, depth, other bytes."""
    from .checked import read_yaml

    try:
        content = read_yaml(path)
    except OSError as error:
        raise ArgumentError(None, f"--config {path}: {error.strerror}") from error
    except ValueError as error:
        raise ArgumentError(None, f"--config {path}: {error}") from error
    if not isinstance(content, dict | None):
        raise ArgumentError(None, f"--config {path}: expected `name: value` entries")


def in_words(message: str, parser: ArgumentParser, args: Sequence[str] = ()) -> str:
    """A message of jsonargparse about the options of `parser`, given `args`, in a line."""
    line = " ".join(message.split())
    if found := re.search(r"unrecognized arguments: (.*)", line):
        unknown = next((arg for arg in found[1].split() if arg.startswith("-")), "")
        if not unknown:
            return _stray(found[1], args)
        known = [*_options(parser), "--help"]
        return f"no option {unknown}{_meant(unknown.partition('=')[0], known)}"
    if found := re.search(r"arguments are required: (.*)", line):
        return f"needs {', '.join(_named(key, parser) for key in found[1].split(', '))}"
    if found := re.search(r"to be one of \{(.*)\}, but it was not provided", line):
        return f"needs a command: {found[1].replace(',', ', ')}"
    if found := re.search(r"invalid choice: '(.*?)' \(choose from (.*?)\)", line):
        known = re.findall(r"[\w-]+", found[2])
        return f"no command {found[1]}{_meant(found[1], known) or ': ' + ', '.join(known)}"
    if found := re.search(r'Parser key "(.*?)"(?: element \d+)?: (.*)', line):
        name, given = _named(found[1], parser), _GIVEN.search(line)
        wanted = list(dict.fromkeys(_kinds(found[2].partition("Given value type")[0])))
        if given and wanted:
            value = next(one for one in given.groups() if one is not None)
            return f"{name} {value.strip()}: give {_listed(wanted)}"
        line = f"{name}: {found[2]}"
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


def _stray(words: str, args: Sequence[str]) -> str:
    """Words that belong to no option: mostly the rest of a name with a space in it."""
    whole = [words]
    if (first := words.split()[0]) in args:
        before = args[: args.index(first)][::-1]
        whole += takewhile(lambda arg: not arg.startswith("-"), before)
    example = " ".join(reversed(whole))
    return f'{words}: belongs to no option; put a name with spaces in quotes: "{example}"'


def _listed(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _kinds(text: str) -> list[str]:
    found: list[str] = []
    for choices, plain, restricted in _KIND.findall(text):
        name = plain or restricted
        found += choices.replace("'", "").split(", ") if choices else [KINDS.get(name, name)]
    return found


def _meant(word: str, known: Sequence[str]) -> str:
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""


def _named(key: str, parser: ArgumentParser) -> str:
    """An option as it is typed, from its key, which may begin with the command's name."""
    names = {action.dest: action for action in _actions(parser)}
    parts = key.split(".")
    for start in range(len(parts)):
        action = names.get(".".join(parts[start:]))
        if action is not None:
            return action.option_strings[0] if action.option_strings else action.dest.upper()
    return f"--{key}"


def _options(parser: ArgumentParser) -> list[str]:
    return [name for action in _actions(parser) for name in action.option_strings]


def _actions(parser: ArgumentParser) -> list[Action]:
    return list(parser._actions)


def _chosen(parser: ArgumentParser, args: Sequence[str]) -> ArgumentParser:
    """The parser of the command that `args` name, as far as they do."""
    for arg in args:
        for action in _actions(parser):
            if not action.option_strings and isinstance(action.choices, dict):
                parser = action.choices.get(arg, parser)
    return parser
