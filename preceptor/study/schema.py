"""The schema of a study; its larger parts are in other files of this folder."""

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
    """The columns of an instruction source: those of a conversation, the right answer and its check."""

    answer: str | None = None
    check: str | None = None


class InstructionSource(Conversations):
    """One file or dataset of instructions."""

    name: Name
    columns: InstructionColumns = InstructionColumns()


class Instructions(Frozen):
    """The instructions of a study, from all its sources."""

    sources: Annotated[tuple[InstructionSource, ...], Field(min_length=1)]
    """The files and datasets of instructions."""
    near_duplicate_threshold: Annotated[Real, Field(ge=0.6, lt=1)] | None = 0.9
    """An instruction at least this similar to an earlier one is dropped; null keeps all."""


class Base(Described, Model):
    """A base model to tune, and its prompt format for scoring and tuning.

    `unconditional` also measures each response without its instruction. This second pass is only for IFD.
    """

    prompt_format: PromptFormat = "tulu"
    """The prompt format for scoring and tuning."""
    include_end_of_turn: bool = False
    """Include the end-of-turn token in the loss."""
    unconditional: bool = True
    """Also measure each response without its instruction; only IFD needs it."""


class RewardMap(Frozen):
    """Maps each score to a reward before averaging: identity, sigmoid, or affine (shift + scale · score)."""

    kind: Literal["identity", "sigmoid", "affine"] = "identity"
    """The function."""
    shift: Real = 0.0
    """The shift of `affine`."""
    scale: Annotated[Real, Field(gt=0)] = 1.0
    """The scale of `affine`."""


class Car(Frozen):
    """CAR = r / (1 + β·L) (arXiv 2411.07133), its form, its rows and its intervals."""

    beta: Annotated[Real, Field(ge=0)] = 3.0
    """β, the weight of the loss."""
    form: Literal["ratio", "product"] = "ratio"
    """`ratio` is r / (1 + β·L), `product` is r · (1 + β·L)."""
    reward_model: RewardModelName | None = None
    """The reward model that gives r; required if the study has several."""
    reward_map: RewardMap = RewardMap()
    """Maps each score to a reward before averaging."""
    rows: Literal["common", "available"] = "common"
    """`common` uses only instructions that all teachers answered; `available` uses all of each teacher's."""
    sweep: tuple[Annotated[Real, Field(ge=0)], ...] = (0.0, 0.3, 1.0, 3.0, 10.0)
    """Values of β for `car_beta_sweep`."""
    confidence: Probability = 0.95
    """The confidence level of intervals."""
    resamples: Annotated[Whole, Field(ge=100, le=100_000)] = 2000
    """The number of bootstrap resamples."""
    seed: Annotated[Whole, Field(ge=0)] = 0
    """The seed of the bootstrap."""


class Limits(Frozen):
    """Limits of the asset checks: shares of rows or tokens, and the drift of rewards.

    `lost_rows` limits the rows lost when a file is read: rows that cannot be read, and rows with text in a
    column that nothing reads. `reward_drift` is in standard deviations of the earlier rewards.
    """

    lost_rows: Annotated[Real, Field(ge=0, le=1)] = 0.05
    """The share of rows that reading a file may lose."""
    failed_rows: Annotated[Real, Field(ge=0, le=1)] = 0.05
    """The share of rows that may fail."""
    missing_rows: Annotated[Real, Field(ge=0, le=1)] = 0.05
    """The share of rows that may be missing."""
    truncated_rows: Annotated[Real, Field(ge=0, le=1)] = 0.05
    """The share of responses that may be cut at the token limit; they are as unusable as failed ones."""
    tokens_scored: Annotated[Real, Field(ge=0, le=1)] = 0.9
    """The share of a response's tokens that must be scored."""
    reward_drift: Annotated[Real, Field(ge=0)] = 0.2
    """How far rewards may drift, in standard deviations; 0.2 is a small effect by Cohen."""


class LeftStudyError(LookupError):
    """A queued run needs a teacher or base that the study no longer declares."""


class Study(Frozen):
    """One question: which of these teachers should each of these bases learn from?

    `prompt_date` is the date that chat templates show, so that a prompt is the same on every day.
    """

    name: Name
    """The study's name; it names the folder in the store and Dagster's partition sets."""
    description: str = ""
    """The study's question, shown on the report."""
    prompt_date: PromptDate = PROMPT_DATE
    """The date that chat templates show as today."""
    instructions: Instructions
    """The instructions that the teachers answer."""
    teachers: tuple[Teacher, ...] = ()
    """The teachers whose responses are compared."""
    teacher_files: TeacherFolder | None = None
    """A folder, or s3://bucket/prefix, in which every YAML file declares one more teacher."""
    bases: Annotated[tuple[Base, ...], Field(min_length=1)]
    """The base models to tune."""
    reward_models: Annotated[tuple[RewardModel, ...], Field(min_length=1)]
    """The models that score the responses."""
    car: Car = Car()
    """How teachers are ranked."""
    limits: Limits = Limits()
    """Limits of the asset checks."""
    recipes: tuple[Recipe, ...] = ()
    """The rows that bases are tuned on; a grid stands for one recipe per combination."""
    tunings: tuple[Tuning, ...] = ()
    """Named hyper-parameters."""
    runs: tuple[Run, ...] = ()
    """Which base is tuned on which recipe's rows; a grid stands for one run per combination."""
    evaluations: tuple[Evaluation, ...] = ()
    """The evaluations of tuned bases."""
    averages: tuple[Average, ...] = ()
    """Means of several evaluations' main metrics."""

    def teacher(self, name: str) -> AnyTeacher:
        """The teacher of that name. Raises LeftStudyError if the study has none."""
        return _present(name, self.teachers, "teacher")

    def base(self, name: str) -> Base:
        """The base model of that name. Raises LeftStudyError if the study has none."""
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
        """The reward model that gives r for CAR: `car.reward_model`, or the study's only one."""
        return self.car.reward_model or self.reward_models[0].name


Member = TypeVar("Member", bound=Described)


def _present(name: str, members: Iterable[Member], kind: str) -> Member:
    for member in members:
        if member.name == name:
            return member
    raise LeftStudyError(
        f"{kind} {name!r} is not in the study; it may have been removed since this run was requested"
    )
