"""What a study declares: instructions, teachers, bases, reward models, CAR settings, recipes."""

from typing import Annotated, Literal

from pydantic import Field

from preceptor.study.evaluation import Evaluation
from preceptor.study.fields import Frozen, InstructionFormat, Model, Name, PromptFormat, Records, Sampling
from preceptor.study.tuning import Run, Tuning

Positive = Annotated[int, Field(gt=0)]
Probability = Annotated[float, Field(gt=0, lt=1)]


class InstructionColumns(Frozen):
    """Which columns of a `plain` source hold what."""

    instruction: str = "instruction"
    system: str | None = None
    id: str | None = None
    answer: str | None = None
    check: str | None = None


class InstructionSource(Records):
    """One file or dataset of instructions."""

    name: Name
    format: InstructionFormat = "plain"
    columns: InstructionColumns = InstructionColumns()


class Instructions(Frozen):
    """All sources of a study. Texts at least this similar are near-duplicates; null keeps them."""

    sources: Annotated[tuple[InstructionSource, ...], Field(min_length=1)]
    near_duplicate_threshold: Annotated[float, Field(ge=0.6, lt=1)] | None = 0.9


class Described(Frozen):
    """What is known of a model besides how to run it."""

    name: Name
    family: str | None = None
    size_billions: Annotated[float, Field(gt=0)] | None = None


class ResponseColumns(Frozen):
    """Which columns of a `plain` file of responses hold what."""

    response: str = "response"
    instruction: str = "instruction"
    id: str = "id"


class TeacherFacts(Described):
    """The terms of a teacher's outputs and what running it costs, if known."""

    terms: str | None = None
    price_per_million_tokens: Annotated[float, Field(ge=0)] | None = None
    gpu: str | None = None


class RecordedTeacher(TeacherFacts, Records):
    """A teacher whose responses somebody already has, joined to instructions by id or by text."""

    engine: Literal["recorded"]
    format: InstructionFormat = "plain"
    join: Literal["id", "instruction"] | None = None
    columns: ResponseColumns = ResponseColumns()

    @property
    def joined_on(self) -> Literal["id", "instruction"]:
        """What records are matched by: what the study says, else id for FastChat's files (no text)."""
        return self.join or ("id" if self.format == "fastchat" else "instruction")


class TransformersTeacher(TeacherFacts, Model):
    """A teacher run here by transformers, on a CPU or one GPU."""

    engine: Literal["transformers"]
    prompt_format: PromptFormat = "own"
    sampling: Sampling = Sampling()


Teacher = Annotated[RecordedTeacher | TransformersTeacher, Field(discriminator="engine")]


class Base(Described, Model):
    """A base model that is to be tuned, and the prompt format that it is scored and tuned in."""

    prompt_format: PromptFormat = "tulu"
    include_end_of_turn: bool = False


class ClassifierRewardModel(Model):
    """A sequence classifier. `pair` gives it (instruction, response) as a text pair; `own` its template."""

    name: Name
    engine: Literal["sequence_classification"]
    prompt_format: PromptFormat | Literal["pair"] = "own"
    label: Annotated[int, Field(ge=0)] | None = None


class RewardColumns(Frozen):
    """Which columns of a file of scores hold what."""

    id: str = "question_id"
    model: str = "model"
    score: str = "score"


class RecordedRewardModel(Records):
    """Scores that somebody already has; `teachers` maps a teacher to the model name in the file."""

    name: Name
    engine: Literal["recorded"]
    columns: RewardColumns = RewardColumns()
    teachers: dict[str, str] = Field(default_factory=dict)


RewardModel = Annotated[ClassifierRewardModel | RecordedRewardModel, Field(discriminator="engine")]


class RewardMap(Frozen):
    """What r is made of a row's score: identity, sigmoid, or affine (shift + scale · score)."""

    kind: Literal["identity", "sigmoid", "affine"] = "identity"
    shift: float = 0.0
    scale: Annotated[float, Field(gt=0)] = 1.0


class Car(Frozen):
    """CAR = r / (1 + β·L) (arXiv 2411.07133), its form, its rows and its intervals."""

    beta: Annotated[float, Field(ge=0)] = 3.0
    form: Literal["ratio", "product"] = "ratio"
    reward_model: str | None = None
    reward_map: RewardMap = RewardMap()
    rows: Literal["common", "available"] = "common"
    sweep: tuple[Annotated[float, Field(ge=0)], ...] = (0.0, 0.3, 1.0, 3.0, 10.0)
    confidence: Probability = 0.95
    resamples: Annotated[int, Field(ge=100)] = 2000
    seed: Annotated[int, Field(ge=0)] = 0


class Limits(Frozen):
    """Bounds that the asset checks hold the data against, as shares of rows or tokens."""

    failed_rows: Annotated[float, Field(ge=0, le=1)] = 0.05
    missing_rows: Annotated[float, Field(ge=0, le=1)] = 0.05
    tokens_scored: Annotated[float, Field(ge=0, le=1)] = 0.9


class OneTeacher(Frozen):
    """The responses of one teacher: tuned on, they show whether the ranking predicted well."""

    kind: Literal["teacher"]
    name: Name
    teacher: str
    rows: Positive | None = None
    seed: int = 0


class BestTeacher(Frozen):
    """The responses of the teacher that CAR ranks first for a base."""

    kind: Literal["best_teacher"]
    name: Name
    base: str
    rows: Positive | None = None
    seed: int = 0


class Random(Frozen):
    """Random instructions, each with one random response among the teachers'."""

    kind: Literal["random"]
    name: Name
    rows: Positive
    teachers: tuple[str, ...] = ()
    seed: int = 0


RowColumn = Literal["reward", "mean_nll", "perplexity", "ifd", "rank_surprisal_ratio", "response_tokens"]


class TopK(Frozen):
    """The k rows, at most one per instruction, with the highest or lowest value of a column."""

    kind: Literal["top_k"]
    name: Name
    column: RowColumn
    rows: Positive
    order: Literal["highest", "lowest"] = "highest"
    base: str | None = None
    teachers: tuple[str, ...] = ()


class BestOfN(Frozen):
    """Per instruction, the sample of one teacher that the reward model likes best (or least)."""

    kind: Literal["best_of_n"]
    name: Name
    teacher: str
    rows: None = None  # every instruction that has a reward
    n: Positive | None = None
    order: Literal["best", "worst"] = "best"


Recipe = Annotated[OneTeacher | BestTeacher | Random | TopK | BestOfN, Field(discriminator="kind")]


class Study(Frozen):
    """One question: which of these teachers should each of these bases learn from?"""

    name: Name
    description: str = ""
    instructions: Instructions
    teachers: Annotated[tuple[Teacher, ...], Field(min_length=1)]
    bases: Annotated[tuple[Base, ...], Field(min_length=1)]
    reward_models: Annotated[tuple[RewardModel, ...], Field(min_length=1)]
    car: Car = Car()
    limits: Limits = Limits()
    recipes: tuple[Recipe, ...] = ()
    tunings: tuple[Tuning, ...] = ()
    runs: tuple[Run, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()

    def teacher(self, name: str) -> RecordedTeacher | TransformersTeacher:
        """The teacher of that name."""
        return next(teacher for teacher in self.teachers if teacher.name == name)

    def base(self, name: str) -> Base:
        """The base model of that name."""
        return next(base for base in self.bases if base.name == name)

    def reward_model(self, name: str) -> ClassifierRewardModel | RecordedRewardModel:
        """The reward model of that name."""
        return next(model for model in self.reward_models if model.name == name)

    def recipe(self, name: str) -> OneTeacher | BestTeacher | Random | TopK | BestOfN:
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
