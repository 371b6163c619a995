"""The recipes: which rows a base is tuned on.

A recipe is a class here and a statement with its kind's name, sql/selection/<kind>.sql. The class declares
the recipe's settings and inputs. No code outside of this module distinguishes kinds.
"""

import math
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from preceptor.study.fields import BaseName, InGrids, Name, TeacherName, Whole
from preceptor.suitability.metrics import row_columns

Positive = Annotated[Whole, Field(gt=0)]


def _row_column(value: str) -> str:
    if value not in row_columns():
        raise ValueError(f"must be one of {', '.join(map(repr, row_columns()))}")
    return value


RowColumnName = Annotated[
    str, AfterValidator(_row_column), Field(json_schema_extra={"enum": list(row_columns())})
]


class AbstractRecipe(InGrids):
    """The base class of all recipes.

    A kind overrides the parameters of its statement, and the tables and values that its choice depends on.
    """

    PARAMETERS: ClassVar[tuple[str, ...]] = ()  # the fields that the statement takes as $parameters
    GRID_NAME = "{kind}"
    BY_RANKING: ClassVar[bool] = False  # whether the choice depends on `car_table`

    name: Name
    """Runs refer to it."""
    kind: str
    """The way to choose rows."""
    rows: Positive | None = None
    cut_responses: Literal["leave_out", "keep"] = "leave_out"
    """What to do with responses cut at the token limit."""

    @property
    def named_teachers(self) -> tuple[str, ...]:
        """The teachers that it names; empty if it chooses from all."""
        return ()

    def drawn_from(self, teachers: Iterable[str]) -> list[str]:
        """The teachers whose responses it chooses from. `teachers` has all of the study's."""
        return list(self.named_teachers or teachers)

    @property
    def by_reward(self) -> bool:
        """Whether the choice depends on rewards."""
        return False

    @property
    def losses_of(self) -> str:
        """The base whose losses the choice depends on; empty if it depends on none."""
        return ""

    @property
    def value(self) -> str:
        """SQL of the value that it chooses by, from columns of `usable.sql`."""
        return "NULL::DOUBLE"

    @property
    def at_most(self) -> float:
        """The value above which it chooses no row."""
        return math.inf

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of its statement."""
        return {field: getattr(self, field) for field in self.PARAMETERS}

    @property
    def exhausted(self) -> str:
        """Why it chooses fewer rows than it asks for."""
        return "no more instructions have a usable response"


class OfOneTeacher(AbstractRecipe):
    """A recipe over the responses of one teacher."""

    teacher: TeacherName
    """The teacher whose responses to choose from."""

    @property
    def named_teachers(self) -> tuple[str, ...]:
        """Its one teacher."""
        return (self.teacher,)


class OfTeachers(AbstractRecipe):
    """A recipe over the responses of several teachers."""

    teachers: tuple[TeacherName, ...] = ()
    """The teachers whose responses to choose from; all by default."""

    @property
    def named_teachers(self) -> tuple[str, ...]:
        """Its teachers."""
        return self.teachers


class OneTeacher(OfOneTeacher):
    """The responses of one teacher. Runs on them show how well the ranking predicts."""

    PARAMETERS = ("rows", "seed")
    GRID_NAME = "of-{teacher}"

    kind: Literal["teacher"]
    rows: Positive | None = None
    """How many rows to draw; all of them by default."""
    seed: Whole = 0
    """The same seed and rows draw the same instructions for all teachers that answered each one once."""

    @property
    def exhausted(self) -> str:
        """Its teacher has no more responses."""
        return f"{self.teacher} has no more usable responses"


class BestTeacher(AbstractRecipe):
    """The responses of the teacher that CAR ranks first for a base."""

    PARAMETERS = ("base", "rows", "seed")
    GRID_NAME = "best-for-{base}"
    BY_RANKING = True

    kind: Literal["best_teacher"]
    base: BaseName
    """The base whose ranking is used."""
    rows: Positive | None = None
    """How many rows to draw; all of them by default."""
    seed: Whole = 0

    @property
    def exhausted(self) -> str:
        """The first teacher has no more responses."""
        return f"the first teacher for {self.base} has no more usable responses"


class Random(OfTeachers):
    """Random instructions, each with one random response of the teachers."""

    PARAMETERS = ("rows", "seed")
    GRID_NAME = "random-{rows}-seed{seed}"

    kind: Literal["random"]
    rows: Positive
    seed: Whole = 0


class TopK(OfTeachers):
    """The k rows, at most one per instruction, with the highest or lowest value of a column.

    `ifd` is the mean loss with the instruction divided by the mean loss without it. `ifd_of_perplexities` is
    the ratio of their exponentials. For both, rows above 1 are never chosen (Cherry LLM, arXiv 2308.12032).
    """

    PARAMETERS = ("rows", "column", "order")
    GRID_NAME = "{order}-{column}-{base}"

    kind: Literal["top_k"]
    column: RowColumnName
    """The value to choose by."""
    rows: Positive
    order: Literal["highest", "lowest"] = "highest"
    base: BaseName | None = None
    """The base whose losses the column is computed from; every column but `reward` needs one."""

    @property
    def by_reward(self) -> bool:
        """Whether its column is the reward."""
        return not row_columns()[self.column].needs_losses

    @property
    def losses_of(self) -> str:
        """Its base, if its column is computed from losses."""
        return "" if self.by_reward else self.base or ""

    @property
    def value(self) -> str:
        """SQL of its column."""
        return row_columns()[self.column].sql

    @property
    def at_most(self) -> float:
        """The upper limit of its column."""
        most = row_columns()[self.column].at_most
        return math.inf if most is None else most

    @property
    def parameters(self) -> dict[str, Any]:
        """The fields, and the upper limit of its column."""
        return {**super().parameters, "at_most": self.at_most}

    @property
    def exhausted(self) -> str:
        """No more responses have a value."""
        return f"no more instructions have a usable response with a value of {self.column}"


class BestOfN(OfOneTeacher):
    """For each instruction, the sample of one teacher with the highest (or lowest) reward."""

    PARAMETERS = ("n", "order")
    GRID_NAME = "{order}-of-{teacher}"

    kind: Literal["best_of_n"]
    rows: None = None  # every instruction that has a reward
    n: Positive | None = None
    """Choose among the first n samples of each instruction; all by default."""
    order: Literal["best", "worst"] = "best"

    @property
    def by_reward(self) -> bool:
        """Always."""
        return True


AnyRecipe = OneTeacher | BestTeacher | Random | TopK | BestOfN
Recipe = Annotated[AnyRecipe, Field(discriminator="kind")]
