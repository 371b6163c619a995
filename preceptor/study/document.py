"""A study's YAML as plain data: text, numbers, truth values, lists and mappings, and where each stands.

Stricter than YAML: no tags, no repeated keys, every key is text, `no` and dates are text, and nesting and
aliases are bounded, so that a file can neither run code nor hang the loader.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from preceptor.paths import path_problem

Place = tuple[str | int, ...]
LARGEST = 4 * 2**20  # bytes
DEEPEST = 30
MOST_NODES = 100_000
NULL = re.compile(r"|~|null|Null|NULL")
TRUTH = re.compile(r"(true|True|TRUE)|(false|False|FALSE)")
INTEGER = re.compile(r"[-+]?[0-9]{1,300}")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
SPECIAL_FLOAT = re.compile(r"([-+]?)\.(inf|nan)", re.IGNORECASE)
# What people write for a key, where no spelling leads from one to the other.
SYNONYMS = {"file": "path", "filename": "path", "type": "engine", "checkpoint": "model", "hf_model": "model"}
QUOTED = "put the text in quotes"
# What YAML's reader says, and what mostly cures it.
CURES = {
    r"'\t' that cannot start": ": a tab: indent with blanks",
    "mapping values are not allowed": f": of a text with a colon, {QUOTED}; else mend the line's indentation",
    "found unknown escape character": ": in double quotes a backslash is special: take single quotes",
    "quoted scalar found unexpected end": ": a quote that never ends",
    "cannot start any token": f": {QUOTED}",
    "did not find expected alphabetic or numeric character": f": {QUOTED}",
    "flow mapping": ": a comma, a colon or a closing brace is missing",
    "flow sequence": ": a comma or a closing bracket is missing",
    "expected <block end>": ": entries of one list or mapping begin in one column",
    "could not find expected ':'": ": a key wants a colon and a blank behind it",
}


class StudyError(ValueError):
    """A study that cannot be used; its text lists every problem found."""


def unknown(key: str, known: Iterable[str], what: str = "key known here") -> str:
    """What to say of a key that is none of the known ones."""
    names = list(known)
    meant = [SYNONYMS[key]] if SYNONYMS.get(key) in names else get_close_matches(key, names, n=1)
    return f"is no {what}; known are {', '.join(names)}" + (f". Did you mean {meant[0]!r}?" if meant else "")


def printed(place: Place) -> str:
    """teachers[1].sampling.n, with a key that cannot be printed as it is in quotes."""
    words = (part if isinstance(part, int) or (part.isprintable() and part) else repr(part) for part in place)
    return "".join(f"[{w}]" if isinstance(w, int) else f".{w}" for w in words).removeprefix(".")


@dataclass(frozen=True)
class Problem:
    """One mistake: where it is in the file, and what to do about it."""

    place: Place
    message: str


@dataclass
class Document:
    """The data of a file, the line of every place, and the mistakes that are YAML's own."""

    data: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    visited: int = 0

    def visit(self, node: yaml.Node, place: Place) -> None:
        """Count a node, as often as aliases repeat it; raises ValueError where they never end."""
        self.visited += 1
        if self.visited > MOST_NODES or len(place) > DEEPEST:
            raise ValueError(f"line {_line(node)}: aliases blow the study up")

    def line(self, place: Place) -> int:
        """The line of a place, or of the part that it should stand in."""
        while place not in self.lines:
            place = place[:-1]
        return self.lines[place]


def read_document(
    file: Path, subject: str = "study", keys: str = "name, instructions, teachers, bases, reward_models …"
) -> Document:
    """Read a file. Raises StudyError where it is not a mapping in YAML."""
    try:
        text = _text(file)
        _refuse_unsafe(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise StudyError(f"{file}{_no_yaml(error, subject)}") from error
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise StudyError(f"{file}: cannot be read as a {subject}: {' '.join(str(error).split())}") from error
    if not isinstance(root, yaml.MappingNode):
        raise StudyError(f"{file}: a {subject} is a mapping with the keys {keys}")
    document = Document()
    try:
        document.data = _data(root, (), document)
    except ValueError as error:
        raise StudyError(f"{file}: cannot be read as a {subject}: {error}") from error
    return document


def _no_yaml(error: yaml.MarkedYAMLError, subject: str) -> str:
    """Where a file stops being YAML, why, and what mostly cures that: one sentence."""
    mark = error.problem_mark or error.context_mark
    said = " ".join(part for part in (error.context, error.problem) if part)
    cure = next((cure for sign, cure in CURES.items() if sign in said), "")
    place = f":{mark.line + 1}" if mark is not None else ""
    column = f" in column {mark.column + 1}" if mark is not None else ""
    if mark is not None and error.context_mark is not None and error.context_mark.line < mark.line:
        column += f", in what begins in line {error.context_mark.line + 1}"
    return f"{place}: cannot be read as a {subject}: no YAML{column}: {' '.join(said.split())}{cure}"


def _text(file: Path) -> str:
    if (problem := path_problem(file)) is not None:
        raise ValueError(f"it {problem}")
    with file.open("rb") as stream:
        content = stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"it has more than {LARGEST // 2**20} MiB; rows belong into files of their own")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is no UTF-8 (byte {error.start:,}): save it as UTF-8") from error


def _refuse_unsafe(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
            raise ValueError(f"line {_line(event)}: the tag {event.tag} has no place in a study")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"line {_line(event)}: nested deeper than {DEEPEST} levels")


def _line(node: yaml.Node | yaml.Event) -> int:
    return 0 if node.start_mark is None else node.start_mark.line + 1


def _data(node: yaml.Node, place: Place, document: Document) -> Any:
    document.visit(node, place)
    document.lines.setdefault(place, _line(node))
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return [_data(item, (*place, index), document) for index, item in enumerate(node.value)]
    assert isinstance(node, yaml.MappingNode)
    return {key: _data(value, (*place, key), document) for key, value in _pairs(node, place, document)}


def _pairs(node: yaml.MappingNode, place: Place, document: Document) -> Iterator[tuple[str, yaml.Node]]:
    """Keys and values: those merged in with `<<` that the mapping does not set itself, then its own."""
    document.visit(node, place)
    own: dict[str, yaml.Node] = {}
    merged: dict[str, yaml.Node] = {}
    merges = [key for key, _ in node.value if _merges(key)]
    if len(merges) > 1:  # which one counts where they differ, nobody could say
        document.problems.append(
            Problem((*place, "<<"), "the key stands here twice: write <<: [*one, *other]")
        )
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise ValueError(f"line {_line(key)}: a key must be a word")
        if _merges(key):
            for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if not isinstance(part, yaml.MappingNode):
                    raise ValueError(f"line {_line(key)}: << merges mappings only")
                merged = {**dict(_pairs(part, (*place, "<<"), document)), **merged}
        elif key.value in own:
            document.problems.append(Problem((*place, key.value), "the key stands here twice"))
        else:
            own[key.value] = value
            document.lines[(*place, key.value)] = _line(key)
    yield from {**merged, **own}.items()


def _merges(key: yaml.Node) -> bool:
    return isinstance(key, yaml.ScalarNode) and key.value == "<<" and key.style is None


def _scalar(node: yaml.ScalarNode) -> Any:
    text: str = node.value
    if node.style is not None:  # quoted, or a block of text
        return text
    if NULL.fullmatch(text):
        return None
    if truth := TRUTH.fullmatch(text):
        return truth.group(1) is not None
    return _number(text)


def _number(text: str) -> int | float | str:
    if INTEGER.fullmatch(text):
        return int(text)
    if FLOAT.fullmatch(text):
        return float(text)
    special = SPECIAL_FLOAT.fullmatch(text)
    return float(special.group(1) + special.group(2)) if special else text
