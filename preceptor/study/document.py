"""Reads a study's YAML as plain data: text, numbers, booleans, lists and mappings, with line numbers.

It is stricter than YAML: no tags, no repeated keys, every key is text, `no` and dates are text, and nesting
and aliases are limited. So a file can neither run code nor hang the loader.
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
# Common wrong keys whose spelling is too different to find the right key.
SYNONYMS = {"file": "path", "filename": "path", "type": "engine", "checkpoint": "model", "hf_model": "model"}
QUOTED = "put the text in quotes"
TWICE = "the key is set twice"
A_MAPPING = "must be a mapping of keys to values"
# Parts of YAML's error messages, and the most likely fix.
FIXES = {
    r"'\t' that cannot start": ": replace the tab with spaces",
    "mapping values are not allowed": f": if the text contains a colon, {QUOTED}; else fix the indentation",
    "found unknown escape character": ": a backslash is special in double quotes, so use single quotes",
    "quoted scalar found unexpected end": ": add the missing closing quote",
    "cannot start any token": f": {QUOTED}",
    "did not find expected alphabetic or numeric character": f": {QUOTED}",
    "flow mapping": ": a comma, a colon or a closing brace is missing",
    "flow sequence": ": a comma or a closing bracket is missing",
    "expected <block end>": ": all entries of a list or mapping must start in the same column",
    "could not find expected ':'": ": put a colon and a space after the key",
}


class StudyError(ValueError):
    """A study that cannot be used; its message lists every problem found."""


def unknown(key: str, known: Iterable[str], what: str = "key") -> str:
    """The message for an unknown key, with the known keys and the most similar one."""
    names = list(known)
    meant = [SYNONYMS[key]] if SYNONYMS.get(key) in names else get_close_matches(key, names, n=1)
    guess = f". Did you mean {meant[0]!r}?" if meant else ""
    return f"is not a known {what}; known {what}s are {', '.join(names)}{guess}"


def printed(place: Place) -> str:
    """A place as text, such as teachers[1].sampling.n; a key with unprintable characters is quoted."""
    words = (part if isinstance(part, int) or (part.isprintable() and part) else repr(part) for part in place)
    return "".join(f"[{w}]" if isinstance(w, int) else f".{w}" for w in words).removeprefix(".")


@dataclass(frozen=True)
class Problem:
    """One problem: its place in the file, and what to do about it."""

    place: Place
    message: str


@dataclass
class Document:
    """The data of a file, the line of every place, and the problems of its YAML."""

    data: Any = None
    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    visited: int = 0

    def visit(self, node: yaml.Node, place: Place) -> None:
        """Count a node each time an alias repeats it. Raises ValueError for too many or too deep nodes."""
        self.visited += 1
        if self.visited > MOST_NODES or len(place) > DEEPEST:
            raise ValueError(
                f"line {_line(node)}: aliases expand to more than {MOST_NODES:,} values or {DEEPEST} levels"
            )

    def line(self, place: Place) -> int:
        """The line of a place, or of its closest parent in the file."""
        while place not in self.lines:
            place = place[:-1]
        return self.lines[place]


def read_document(
    file: Path, subject: str = "study", keys: str = "name, instructions, teachers, bases, reward_models …"
) -> Document:
    """Read a file. Raises StudyError if it is not a YAML mapping."""
    try:
        text = _text(file)
        _refuse_unsafe(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise StudyError(f"{file}{_invalid_yaml(error, subject)}") from error
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise StudyError(f"{file}: cannot be read as a {subject}: {' '.join(str(error).split())}") from error
    if not isinstance(root, yaml.MappingNode):
        raise StudyError(f"{file}: a {subject} must be a mapping with the keys {keys}")
    document = Document()
    try:
        document.data = _data(root, (), document)
    except ValueError as error:
        raise StudyError(f"{file}: cannot be read as a {subject}: {error}") from error
    return document


def _invalid_yaml(error: yaml.MarkedYAMLError, subject: str) -> str:
    """One sentence: the place where a file is invalid YAML, YAML's message, and the most likely fix."""
    mark = error.problem_mark or error.context_mark
    said = " ".join(part for part in (error.context, error.problem) if part)
    fix = next((fix for sign, fix in FIXES.items() if sign in said), "")
    place = f":{mark.line + 1}" if mark is not None else ""
    column = f" in column {mark.column + 1}" if mark is not None else ""
    if mark is not None and error.context_mark is not None and error.context_mark.line < mark.line:
        column += f", in the part that starts in line {error.context_mark.line + 1}"
    return f"{place}: cannot be read as a {subject}: invalid YAML{column}: {' '.join(said.split())}{fix}"


def _text(file: Path) -> str:
    if (problem := path_problem(file)) is not None:
        raise ValueError(f"it {problem}")
    with file.open("rb") as stream:
        content = stream.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"it has more than {LARGEST // 2**20} MiB; put rows in separate files")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 (byte {error.start:,}): save it as UTF-8") from error


def _refuse_unsafe(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
            raise ValueError(f"line {_line(event)}: a study must not contain tags: remove {event.tag}")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"line {_line(event)}: values are nested deeper than {DEEPEST} levels")


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
    """Keys and values of a mapping: those merged with `<<` that it does not set itself, then its own."""
    document.visit(node, place)
    own: dict[str, yaml.Node] = {}
    merged: dict[str, yaml.Node] = {}
    merges = [key for key, _ in node.value if _merges(key)]
    if len(merges) > 1:  # YAML does not define which one wins
        document.problems.append(Problem((*place, "<<"), f"{TWICE}: write <<: [*one, *other]"))
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise ValueError(f"line {_line(key)}: a key must be text, not a list or mapping")
        if _merges(key):
            for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if not isinstance(part, yaml.MappingNode):
                    raise ValueError(f"line {_line(key)}: << merges mappings only")
                merged = {**dict(_pairs(part, (*place, "<<"), document)), **merged}
        elif key.value in own:
            document.problems.append(Problem((*place, key.value), f"{TWICE}: remove one"))
        else:
            own[key.value] = value
            document.lines[(*place, key.value)] = _line(key)
    yield from {**merged, **own}.items()


def _merges(key: yaml.Node) -> bool:
    return isinstance(key, yaml.ScalarNode) and key.value == "<<" and key.style is None


def _scalar(node: yaml.ScalarNode) -> Any:
    text: str = node.value
    if node.style is not None:  # quoted text, or a block of text
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
