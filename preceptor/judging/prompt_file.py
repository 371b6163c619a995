"""A judge's prompt in a YAML file: its texts, its labels, and the parser of its answers."""

import json
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from preceptor.fingerprint import fingerprint
from preceptor.study.fields import Frozen, Whole

BUILT_IN = Path(__file__).parent / "prompts"
LARGEST = 2**20  # bytes
NEEDED = {
    "duel": ("{instruction}", "{answer_a}", "{answer_b}"),
    "grade": ("{instruction}", "{response}"),
    "reward": ("{rubric}", "{mark}", "{conversation}"),
}
THOUGHT = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)
DIGITS = re.compile(r"\s*[0-9]{1,2}\s*")


class PromptError(ValueError):
    """A prompt file cannot be used. The message names the file and what to change."""


class PromptFile(Frozen):
    """A judge's prompt. `labels` maps each verdict to its outcome: A's in a comparison, or the grade.

    The texts have placeholders:

    - `{form}`: the JSON object that the judge should answer with. A file without it needs `pattern`, a
      regular expression whose only group is the label.
    - `duel` and `grade`: `{data}`, everything to judge, between marks that no text in it can contain. Or its
      parts without marks: `{instruction}` with `{answer_a}` and `{answer_b}`, or with `{response}`.
    - `reward`: `{conversation}`, whose sections begin and end with `{mark}`, and `{rubric}`.
    """

    name: str
    version: Annotated[Whole, Field(gt=0)]
    kind: Literal["duel", "grade", "reward"]
    labels: dict[str, float]
    rubric: str | None = None
    system: str | None = None
    user: str
    pattern: str | None = None
    reasoning: bool = True  # whether the JSON begins with the judge's reasoning

    @field_validator("pattern")
    @classmethod
    def _finds_a_label(cls, value: str | None) -> str | None:
        try:
            if value is not None and re.compile(value).groups != 1:
                raise ValueError("the pattern needs exactly one group: the label")
        except re.error as error:
            raise ValueError(f"the pattern is not a valid regular expression: {error}") from error
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        texts = f"{self.system}{self.user}"
        lacking = [part for part in NEEDED[self.kind] if part not in texts]
        if "{data}" not in texts and lacking:
            raise ValueError(f"the texts need {{data}}, or else {', '.join(lacking)}")
        if ("{form}" in texts) == (self.pattern is not None):
            raise ValueError("use either {form} in the texts (for JSON answers) or a 'pattern', not both")
        if (self.rubric is not None) != (self.kind == "reward"):
            raise ValueError("a prompt of kind 'reward' needs a 'rubric'; other kinds must not have one")
        if len(self.labels) < 2:
            raise ValueError("'labels' needs at least two verdicts")
        if self.kind == "duel" and not all(0 <= outcome <= 1 for outcome in self.labels.values()):
            raise ValueError("labels of kind 'duel' must have values from 0 (B wins) to 1 (A wins)")
        return self

    @property
    def identity(self) -> dict[str, Any]:
        """Name, version and hash of the file's contents."""
        return {"name": self.name, "version": self.version, "hash": self.hash}

    @cached_property
    def hash(self) -> str:
        """The hash of all fields."""
        absent = {"rubric"} if self.rubric is None else None  # the field was added later: keep old hashes
        return fingerprint("judge_prompt", 1, file=self.model_dump(exclude=absent))

    @property
    def wanted(self) -> str:
        """What an answer should contain, for error messages."""
        labels = list(self.labels)
        if self.kind == "reward":
            return f"grade from {labels[0]} to {labels[-1]}"
        return f"verdict ({', '.join(labels)})"

    @property
    def form(self) -> str:
        """The text for `{form}`: a template of the JSON object."""
        labels = list(self.labels)
        quoted = ", ".join(f'"{label}"' for label in labels)
        asked = f'"verdict": "<one of {quoted}>"'
        if self.kind == "reward":
            asked = f'"score": <whole number from {labels[0]} to {labels[-1]}>'
        reasons = '"reasoning": "<two or three sentences>", ' if self.reasoning else ""
        return f"{{{reasons}{asked}}}"

    @property
    def response_format(self) -> dict[str, Any] | None:
        """The JSON schema of an answer, None where a pattern reads it."""
        if self.pattern is not None:
            return None
        verdict: dict[str, Any] = {"type": "string", "enum": list(self.labels)}
        if self.kind == "reward":
            verdict = {"type": "integer", "enum": [int(label) for label in self.labels]}
        reasons = {"reasoning": {"type": "string"}} if self.reasoning else {}
        properties = {**reasons, self._field: verdict}
        schema = {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
        name = "grade" if self.kind == "reward" else "verdict"
        return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}

    @property
    def _field(self) -> str:
        return "score" if self.kind == "reward" else "verdict"

    def label(self, text: str) -> str | None:
        """The verdict in an answer, None where there is none or several differ.

        JSON may be surrounded by prose. For grades, 7, 7.0 and "7" mean the label 7; 7.5, "7/10" and true are
        not labels.
        """
        answer = THOUGHT.sub("", text)
        if self.pattern is None:
            objects = json_objects(answer)
            found = {self._label_of(entry[self._field]) for entry in objects if self._field in entry}
        else:
            found = {self._label_of(label) for label in re.findall(self.pattern, answer) if label.strip()}
        return found.pop() if len(found) == 1 else None

    def _label_of(self, value: object) -> str | None:
        written = str(value).strip()
        if written in self.labels:
            return written
        if isinstance(value, str) and DIGITS.fullmatch(value):
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        number = str(value)
        return number if type(value) is int and number in self.labels else None


def json_objects(text: str) -> list[dict[str, Any]]:
    """The outermost JSON objects in a text."""
    decoder = json.JSONDecoder(strict=False)  # line breaks inside strings are common
    objects = []
    start = text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
            objects.append(value)
        except (ValueError, RecursionError):
            end = start + 1
        start = text.find("{", end)
    return objects


def read_prompt(path: str | None, built_in: str) -> PromptFile:
    """The prompt file at `path`, or the built-in one of that name. Raises PromptError."""
    file = BUILT_IN / f"{built_in}.yaml" if path is None else Path(path)
    try:
        if file.stat().st_size > LARGEST:
            raise ValueError("is larger than 1 MiB: remove everything but the prompt's fields")
        return PromptFile.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise PromptError(f"prompt file {file}: {where}: {first['msg']}") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise PromptError(f"prompt file {file}: {error}") from error
