"""The field types of a study: names, files, records, models."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    model_validator,
)

from preceptor.paths import folder_problem, path_problem

LARGEST_WHOLE = 2**31 - 1  # all libraries accept this as a seed or a count
LARGEST_REAL = 1e100  # sums and products of such numbers stay finite
SAVED = ("dataset_dict.json", "state.json")  # written by `datasets`, with and without splits


class Frozen(BaseModel):
    """A part of a study. It is immutable and refuses unknown keys. Its numbers are Whole or Real."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        protected_namespaces=(),
        use_attribute_docstrings=True,  # they become descriptions in the JSON Schema
    )

    def parts(self) -> "Iterator[Frozen]":
        """This part and all nested parts."""
        yield self
        for _, value in self:
            for item in value if isinstance(value, tuple) else (value,):
                if isinstance(item, Frozen):
                    yield from item.parts()


class InGrids(Frozen):
    """An entry that a grid may declare. GRID_NAME is the default template of its name."""

    GRID_NAME: ClassVar[str]


def _plain(value: Any) -> Any:
    """Refuse a number that pydantic would misread (`true` as 1, "1_000") or that is too large."""
    if isinstance(value, bool):
        raise ValueError(f"must be a number, not {str(value).lower()}")
    if isinstance(value, str) and "_" in value:
        raise ValueError("write the number without '_'")
    if isinstance(value, int) and abs(value) > LARGEST_WHOLE:
        raise ValueError(f"a whole number must be at most {LARGEST_WHOLE}")
    if isinstance(value, float) and isfinite(value) and abs(value) > LARGEST_REAL:
        raise ValueError(f"a number must be at most {LARGEST_REAL:g}")
    return value


Whole = Annotated[int, BeforeValidator(_plain)]
Real = Annotated[float, BeforeValidator(_plain)]


def checked_name(value: str) -> str:
    """The name of an entry. Raises ValueError if it cannot be a partition key and a folder."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", value):
        raise ValueError(
            "a name must have 1 to 100 letters, digits, '.', '_', '+' or '-' and start with a letter or"
            " digit, because it becomes a partition key and a folder"
        )
    return value


def existing_path(value: str, info: ValidationInfo) -> str:
    """The path; a relative path starts from the study's folder."""
    folder: Path = (info.context or {}).get("folder", Path())
    try:
        path = folder / Path(value).expanduser()
        exists = path.exists()
    except (OSError, RuntimeError, ValueError) as error:  # too long, an unknown home, a zero byte
        raise ValueError(f"not a valid path: {error}") from error
    if not exists:
        raise ValueError(f"no such file or folder (looked for {str(path)!r})")
    if (problem := path_problem(path)) is not None:
        raise ValueError(problem)
    return str(path)


def _whole_path(value: str, info: ValidationInfo) -> str:
    """A file, or a folder that contains only files and folders."""
    path = existing_path(value, info)
    if Path(path).is_dir() and (problem := folder_problem(Path(path))) is not None:
        raise ValueError(problem)
    return path


def _records_path(value: str, info: ValidationInfo) -> str:
    """A file, or a folder saved by `datasets`. Any other would be hashed whole before reading fails."""
    path = existing_path(value, info)
    if Path(path).is_dir() and not any((Path(path) / name).is_file() for name in SAVED):
        raise ValueError(
            f"a folder of rows must be saved by `datasets` with save_to_disk (it contains {SAVED[0]} or"
            f" {SAVED[1]}): give such a folder, or the file with the rows"
        )
    return _whole_path(value, info)


def _model(value: str, info: ValidationInfo) -> str:
    """A hub id stays unchanged; a value that looks like a path must be a folder with a config.json."""
    if not value.startswith((".", "/", "~")):
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", value):
            raise ValueError("a model must be a hub id (organisation/model) or a folder (./folder, /folder)")
        _refuse_folder_named_as_on_a_hub(value, info)
        return value
    path = existing_path(value, info)
    if not (Path(path) / "config.json").is_file():
        raise ValueError(f"{path!r} is not a model folder: it has no config.json")
    return _whole_path(value, info)


def _refuse_folder_named_as_on_a_hub(value: str, info: ValidationInfo) -> None:
    """Refuse a folder without ./, because it would be looked up on the hub."""
    folder: Path = (info.context or {}).get("folder", Path())
    if os.path.isfile(folder / value / "config.json"):  # noqa: PTH113 - False for a name beyond 255 bytes
        raise ValueError(
            "it is read as a hub id, but the study's folder contains a model folder of that name: write"
            f" './{value}' to use the folder, or rename the folder"
        )


def _teacher_folder(value: str, info: ValidationInfo) -> str:
    """An S3 prefix stays unchanged; any other value must be an existing folder."""
    if value.startswith("s3://"):
        if not re.fullmatch(r"s3://[^/]+(/[^/]+)*/?", value) or ".." in value.split("/"):
            raise ValueError("an S3 prefix of teacher files must be s3://bucket/prefix")
        return value
    path = existing_path(value, info)
    if not Path(path).is_dir():
        raise ValueError(f"{path!r} is a file: give the folder with the teachers' YAML files")
    return path


def _day(value: object) -> object:
    """A date as YYYY-MM-DD; pydantic would read a number as seconds since 1970."""
    if isinstance(value, date):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        raise ValueError("a date must be YYYY-MM-DD, such as 2024-07-26")
    return value


@dataclass(frozen=True)
class NameOf:
    """Marks a text that must be the name of an entry in another section of the study."""

    section: str


PromptDate = Annotated[date, BeforeValidator(_day)]
Name = Annotated[str, AfterValidator(checked_name)]
TeacherName = Annotated[str, NameOf("teachers")]
BaseName = Annotated[str, NameOf("bases")]
RewardModelName = Annotated[str, NameOf("reward_models")]
RecipeName = Annotated[str, NameOf("recipes")]
TuningName = Annotated[str, NameOf("tunings")]
EvaluationName = Annotated[str, NameOf("evaluations")]
TeacherFolder = Annotated[str, AfterValidator(_teacher_folder)]
ExistingPath = Annotated[str, AfterValidator(_whole_path)]
ModelReference = Annotated[str, AfterValidator(_model)]
RecordsPath = Annotated[str, AfterValidator(_records_path)]
Dtype = Literal["float32", "bfloat16", "float16"]
InstructionFormat = Literal["plain", "alpaca", "alpaca_eval", "fastchat", "messages", "sharegpt"]
PromptFormat = Literal["own", "tulu", "chatml", "plain"]


class Records(Frozen):
    """The source of rows: a file, a folder saved by `datasets`, or the id of a dataset."""

    path: RecordsPath | None = None
    """A file of rows (.jsonl, .json, .csv, .tsv, .parquet), or a folder saved by `datasets`."""
    dataset: str | None = None
    """The id of a dataset on a hub, instead of `path`."""
    subset: str | None = None
    """The configuration of the dataset."""
    split: str = "train"
    """The split of the dataset."""
    revision: str | None = None
    """The revision of the dataset."""
    limit: Annotated[Whole, Field(gt=0)] | None = None
    """The number of rows to read; all by default."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.path is None) == (self.dataset is None):
            raise ValueError("give exactly one of 'path' (a file or saved folder) and 'dataset' (a hub id)")
        return self

    @property
    def origin(self) -> str:
        """The path or dataset id, for messages."""
        return self.path or f"{self.dataset}"


class Model(Frozen):
    """A transformers model: a hub id or a folder, at a revision, in a floating-point type.

    `prompt_date` is the date that its chat template may show as today; by default the study's.
    """

    model: ModelReference
    """A hub id (organisation/model), or a folder that starts with './', '/' or '~'."""
    revision: str = "main"
    """A branch, tag or commit on the hub."""
    dtype: Dtype = "float32"
    """The floating-point type of the weights."""
    max_length: Annotated[Whole, Field(gt=1)] | None = None
    """The maximum context in tokens; the model's maximum by default."""
    prompt_date: PromptDate | None = None
    """The date that its chat template may show as today; the study's by default."""


class Described(Frozen):
    """Facts about a model that do not affect how it runs."""

    name: Name
    """Up to 100 letters, digits, '.', '_', '+' and '-'; other entries refer to it."""
    family: str | None = None
    """The model family, for the record."""
    size_billions: Annotated[Real, Field(gt=0)] | None = None
    """Billions of parameters, for the record."""


def _listed(value: object) -> object:
    """A single stop text counts as a list of one, as in OpenAI's API."""
    return (value,) if isinstance(value, str) else value


StopTexts = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    Field(max_length=4),
    BeforeValidator(_listed, json_schema_input_type=str | tuple[str, ...]),
]


class Sampling(Frozen):
    """How a teacher decodes. Temperature 0 is greedy. Every row has its own seed, derived from `seed`.

    A response ends at an end token of the model, or before the first of the `stop` texts.
    """

    temperature: Annotated[Real, Field(ge=0, le=10)] = 0.0
    """0 decodes greedily."""
    top_p: Annotated[Real, Field(gt=0, le=1)] = 1.0
    """Nucleus sampling: the total probability of the candidate tokens."""
    top_k: Annotated[Whole, Field(ge=0)] = 0
    """The number of tokens to draw from; 0 draws from all."""
    max_new_tokens: Annotated[Whole, Field(gt=0)] = 1024
    """The maximum length of a response in tokens."""
    stop: StopTexts = ()
    """Up to four texts that end a response."""
    n: Annotated[Whole, Field(gt=0, le=1000)] = 1
    """The number of responses per instruction."""
    seed: Annotated[Whole, Field(ge=0)] = 0
    """The seed from which every row's own seed is derived."""

    @model_validator(mode="after")
    def _greedy_is_single(self) -> Self:
        if self.n > 1 and self.temperature == 0:
            raise ValueError("n above 1 needs a temperature above 0, because greedy samples are all the same")
        return self
