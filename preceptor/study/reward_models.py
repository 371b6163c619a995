"""Reward models: a local classifier, a judge behind an endpoint, or recorded scores."""

from typing import Annotated, Literal

from pydantic import Field

from preceptor.study.endpoint import Endpoint
from preceptor.study.fields import (
    Frozen,
    Model,
    Name,
    PromptFormat,
    Records,
    TeacherName,
    Whole,
)


class ClassifierRewardModel(Model):
    """A sequence classifier. `pair` passes (instruction, response) as a text pair; `own` uses its template.

    `allow_remote_code` runs the Python code of the model, which custom heads such as ArmoRM's need.
    """

    name: Name
    engine: Literal["sequence_classification"]
    prompt_format: PromptFormat | Literal["pair"] = "own"
    """How a conversation becomes text; `pair` passes the prompt and the response as two texts."""
    label: Annotated[Whole, Field(ge=0)] | None = None
    """The index of the output that is the score, if the head has several."""
    allow_remote_code: bool = False
    """Run the Python code of the model."""


class RewardColumns(Frozen):
    """The columns of a file of scores."""

    id: str = "question_id"
    model: str = "model"
    score: str = "score"


class RecordedRewardModel(Records):
    """Scores from a file; `teachers` maps a teacher to the model name in the file."""

    name: Name
    engine: Literal["recorded"]
    columns: RewardColumns = RewardColumns()
    """The columns of the file."""
    teachers: dict[TeacherName, str] = Field(default_factory=dict)
    """The file's name of a teacher, if it differs."""


class JudgeRewardModel(Endpoint):
    """A judge behind an OpenAI-compatible endpoint that grades each response from 1 to 10.

    `rubric` replaces the built-in instructions to the judge.
    """

    name: Name
    engine: Literal["openai"]
    rubric: str | None = None
    """Instructions to the judge that replace the built-in ones."""
    seed: Annotated[Whole, Field(ge=0)] = 0


ScoringRewardModel = ClassifierRewardModel | JudgeRewardModel
AnyRewardModel = RecordedRewardModel | ScoringRewardModel
RewardModel = Annotated[AnyRewardModel, Field(discriminator="engine")]
