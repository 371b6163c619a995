"""What a study declares; its larger parts have files of their own beside this one."""

from collections.abc import Iterable
from typing import Annotated, Literal, TypeVar

from pydantic import Field

from preceptor.compute.chat_template import PROMPT_DATE
from preceptor.study.averages import Average
from preceptor.study.conversations import Columns, Conversations
from preceptor.study.evaluation import Evaluation
from preceptor.study.fields import (
    Described,
    Frozen,
    Model,
    Name,
    PromptDate,
    PromptFormat,
    Real,
    RewardModelName,
    TeacherFolder,
    Whole,
)
from preceptor.study.recipes import AnyRecipe, Recipe
from preceptor.study.reward_models import AnyRewardModel, RewardModel
from preceptor.study.teachers import AnyTeacher, Teacher
from preceptor.study.tuning import Run, Tuning

Probability = Annotated[Real, Field(gt=0, lt=1)]


class InstructionColumns(Columns):
    """Which columns of an instruction source hold what: besides the conversation, the right answer."""

    answer: str | None = None
    check: str | None = None


class InstructionSource(Conversations):
    """One file or dataset of instructions."""

    name: Name
    columns: InstructionColumns = InstructionColumns()


class Instructions(Frozen):
    """All sources of a study. Texts at least this similar are near-duplicates; null keeps them."""

    sources: Annotated[tuple[InstructionSource, ...], Field(min_length=1)]
    """Where instructions come from."""
    near_duplicate_threshold: Annotated[Real, Field(ge=0.6, lt=1)] | None = 0.9
    """Drop an instruction at least this similar to an earlier one; null keeps all."""


class Base(Described, Model):
    """A base model that is to be tuned, and the prompt format that it is scored and tuned in.

    `unconditional` also measures each response without its instruction: a second pass, which only IFD needs.
    """

    prompt_format: PromptFormat = "tulu"
    """The format that it is scored and tuned in."""
    include_end_of_turn: bool = False
    """Count the loss of the token that ends a turn."""
    unconditional: bool = True
    """Also measure each response without its instruction, which only IFD needs."""


class RewardMap(Frozen):
    """Maps each score to a reward before averaging: identity, sigmoid, or affine (shift + scale · score)."""

    kind: Literal["identity", "sigmoid", "affine"] = "identity"
    """Which function."""
    shift: Real = 0.0
    """For `affine`."""
    scale: Annotated[Real, Field(gt=0)] = 1.0
    """For `affine`."""


class Car(Frozen):
    """CAR = r / (1 + β·L) (arXiv 2411.07133), its form, its rows and its intervals."""

    beta: Annotated[Real, Field(ge=0)] = 3.0
    """β, the weight of the loss."""
    form: Literal["ratio", "product"] = "ratio"
    """`ratio` is r / (1 + β·L), `product` is r · (1 + β·L)."""
    reward_model: RewardModelName | None = None
    """Which reward model gives r; the only one by default."""
    reward_map: RewardMap = RewardMap()
    """Maps each score to a reward before averaging."""
    rows: Literal["common", "available"] = "common"
    """`common` compares teachers on the instructions that all of them answered."""
    sweep: tuple[Annotated[Real, Field(ge=0)], ...] = (0.0, 0.3, 1.0, 3.0, 10.0)
    """Values of β for `car_beta_sweep`."""
    confidence: Probability = 0.95
    """The probability that an interval covers."""
    resamples: Annotated[Whole, Field(ge=100, le=100_000)] = 2000
    """Draws of the bootstrap."""
    seed: Annotated[Whole, Field(ge=0)] = 0
    """The seed of the bootstrap."""


class Limits(Frozen):
    """Bounds that the asset checks hold the data against: shares of rows or tokens, and one of drift.

    `lost_rows` bounds what reading a file may lose: rows that cannot be read, and rows with text in a column
    that nothing reads. `reward_drift` is in standard deviations of the earlier rewards.
    """

    lost_rows: Annotated[Real, Field(ge=0, le=1)] = 0.05
    """Rows that a file may lose when it is read."""
    failed_rows: Annotated[Real, Field(ge=0, le=1)] = 0.05
    """Rows that may fail."""
    missing_rows: Annotated[Real, Field(ge=0, le=1)] = 0.05
    """Rows that may be missing."""
    truncated_rows: Annotated[Real, Field(ge=0, le=1)] = 0.05
    """Responses that may be cut at the limit of tokens: they are as unfit as failed ones."""
    tokens_scored: Annotated[Real, Field(ge=0, le=1)] = 0.9
    """The share of a response's tokens that must be scored."""
    reward_drift: Annotated[Real, Field(ge=0)] = 0.2
    """How far rewards may drift, in standard deviations; 0.2 is what Cohen calls a small effect."""


class LeftStudyError(LookupError):
    """A teacher or base that a waiting run was for, and that the study's file names no more."""


class Study(Frozen):
    """One question: which of these teachers should each of these bases learn from?

    `prompt_date` is today for chat templates that show the date: a prompt is the same on every day.
    """

    name: Name
    """The folder in the store, and part of Dagster's partition sets."""
    description: str = ""
    """The question that the study asks."""
    prompt_date: PromptDate = PROMPT_DATE
    """The date that chat templates show as today."""
    instructions: Instructions
    """What the teachers are asked."""
    teachers: tuple[Teacher, ...] = ()
    """Whose responses are compared."""
    teacher_files: TeacherFolder | None = None
    """A folder, or s3://bucket/prefix, in which every YAML file is one more teacher."""
    bases: Annotated[tuple[Base, ...], Field(min_length=1)]
    """The base models that are to be tuned."""
    reward_models: Annotated[tuple[RewardModel, ...], Field(min_length=1)]
    """What scores the responses."""
    car: Car = Car()
    """How teachers are ranked."""
    limits: Limits = Limits()
    """From where the asset checks complain."""
    recipes: tuple[Recipe, ...] = ()
    """Which rows bases are tuned on; a grid stands for one recipe per combination."""
    tunings: tuple[Tuning, ...] = ()
    """Named hyper-parameters."""
    runs: tuple[Run, ...] = ()
    """Which base is tuned on which recipe's rows; a grid stands for one run per combination."""
    evaluations: tuple[Evaluation, ...] = ()
    """What tuned bases are measured on."""
    averages: tuple[Average, ...] = ()
    """Means of several evaluations' main metrics."""

    def teacher(self, name: str) -> AnyTeacher:
        """The teacher of that name. Raises LeftStudyError where it is none of the study's."""
        return _present(name, self.teachers, "teacher")

    def base(self, name: str) -> Base:
        """The base model of that name. Raises LeftStudyError where it is none of the study's."""
        return _present(name, self.bases, "base")

    def reward_model(self, name: str) -> AnyRewardModel:
        """The reward model of that name."""
        return next(model for model in self.reward_models if model.name == name)

    def recipe(self, name: str) -> AnyRecipe:
        """The recipe of that name."""
        return next(recipe for recipe in self.recipes if recipe.name == name)

    def run(self, name: str) -> Run:
        """The run of that name."""
        return next(run for run in self.runs if run.name == name)

    def tuning(self, name: str) -> Tuning:
        """The tuning settings of that name."""
        return next(tuning for tuning in self.tunings if tuning.name == name)

    def evaluation(self, name: str) -> Evaluation:
        """The evaluation of that name."""
        return next(evaluation for evaluation in self.evaluations if evaluation.name == name)

    @property
    def car_reward_model(self) -> str:
        """The reward model that CAR's r comes from: the one named, or the only one."""
        return self.car.reward_model or self.reward_models[0].name


Member = TypeVar("Member", bound=Described)


def _present(name: str, members: Iterable[Member], kind: str) -> Member:
    for member in members:
        if member.name == name:
            return member
    raise LeftStudyError(f"{kind} {name!r} is not in the study, or left it since this run was asked for")
