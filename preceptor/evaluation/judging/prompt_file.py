"""What a judge is told, in a file of its own: words, labels and how the label is found in the answer."""

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from preceptor.endpoint.grade import json_objects, without_thought
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.fingerprint import fingerprint
from preceptor.study.fields import Frozen, Whole

BUILT_IN = Path(__file__).parent / "prompts"
LARGEST = 2**20  # bytes
NEEDED = {"duel": ("{instruction}", "{answer_a}", "{answer_b}"), "grade": ("{instruction}", "{response}")}


class PromptFile(Frozen):
    """A judge's prompt. `labels` maps each verdict to its outcome: A's in a duel, or the grade itself.

    In the texts `{data}` stands for the whole of what is judged, between marks that no text in it can hold;
    `{instruction}`, `{answer_a}`, `{answer_b}` and `{response}` for its parts as they are; `{form}` for the
    JSON that is wanted. Without `pattern` the answer is JSON; else its first group finds the label.
    """

    name: str
    version: Annotated[Whole, Field(gt=0)]
    kind: Literal["duel", "grade"]
    labels: dict[str, float]
    system: str | None = None
    user: str
    pattern: str | None = None
    reasoning: bool = True  # whether JSON begins with the judge's reasons

    @field_validator("pattern")
    @classmethod
    def _finds_a_label(cls, value: str | None) -> str | None:
        try:
            if value is not None and re.compile(value).groups != 1:
                raise ValueError("the pattern needs exactly one group: the label")
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from error
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        texts = f"{self.system}{self.user}"
        lacking = [part for part in NEEDED[self.kind] if part not in texts]
        if "{data}" not in texts and lacking:
            raise ValueError(f"the texts show the judge neither {{data}} nor {', '.join(lacking)}")
        if ("{form}" in texts) == (self.pattern is not None):
            raise ValueError("say how to answer: {form} in the texts for JSON, or a 'pattern', and not both")
        if len(self.labels) < 2:
            raise ValueError("'labels' needs at least two verdicts")
        if self.kind == "duel" and not all(0 <= outcome <= 1 for outcome in self.labels.values()):
            raise ValueError("a duel's labels are worth 0 (B wins) to 1 (A wins)")
        return self

    @property
    def identity(self) -> dict[str, Any]:
        """Name, version and hash: two files that differ anywhere differ here."""
        return {"name": self.name, "version": self.version, "hash": self.hash}

    @cached_property
    def hash(self) -> str:
        """The hash of all that the file says."""
        return fingerprint("judge_prompt", 1, file=self.model_dump())

    @property
    def form(self) -> str:
        """The JSON that is wanted, in words."""
        labels = ", ".join(f'"{label}"' for label in self.labels)
        reasons = '"reasoning": "<two or three sentences>", ' if self.reasoning else ""
        return f'{{{reasons}"verdict": "<one of {labels}>"}}'

    @property
    def response_format(self) -> dict[str, Any] | None:
        """The JSON schema of an answer; None where a pattern reads it."""
        if self.pattern is not None:
            return None
        verdict = {"verdict": {"type": "string", "enum": list(self.labels)}}
        properties = {"reasoning": {"type": "string"}, **verdict} if self.reasoning else verdict
        schema = {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
        return {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": schema}}

    def label(self, text: str) -> str | None:
        """The verdict in an answer; None where there is none, or several that differ."""
        said = without_thought(text)
        if self.pattern is None:
            found = {str(entry["verdict"]).strip() for entry in json_objects(said) if "verdict" in entry}
        else:
            found = {label.strip() for label in re.findall(self.pattern, said) if label.strip()}
        return found.pop() if len(found) == 1 and found <= self.labels.keys() else None


def read_prompt(path: str | None, protocol: str) -> PromptFile:
    """The prompt file at a path, or the protocol's own. Raises BenchmarkError where it cannot be used."""
    file = BUILT_IN / f"{protocol}.yaml" if path is None else Path(path)
    try:
        if file.stat().st_size > LARGEST:
            raise ValueError("is larger than 1 MiB: a prompt file holds words, no data")
        return PromptFile.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise BenchmarkError(f"prompt file {file}: {where}: {first['msg']}") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BenchmarkError(f"prompt file {file}: {error}") from error
