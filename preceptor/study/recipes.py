"""Which rows a study selects for tuning: its recipes."""

from typing import Annotated, Literal

from pydantic import Field

from preceptor.study.fields import (
    Frozen,
    Name,
    Whole,
)

Positive = Annotated[Whole, Field(gt=0)]


class OneTeacher(Frozen):
    """The responses of one teacher: tuned on, they show whether the ranking predicted well."""

    kind: Literal["teacher"]
    name: Name
    teacher: str
    rows: Positive | None = None
    seed: Whole = 0


class BestTeacher(Frozen):
    """The responses of the teacher that CAR ranks first for a base."""

    kind: Literal["best_teacher"]
    name: Name
    base: str
    rows: Positive | None = None
    seed: Whole = 0


class Random(Frozen):
    """Random instructions, each with one random response among the teachers'."""

    kind: Literal["random"]
    name: Name
    rows: Positive
    teachers: tuple[str, ...] = ()
    seed: Whole = 0


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


AnyRecipe = OneTeacher | BestTeacher | Random | TopK | BestOfN
Recipe = Annotated[AnyRecipe, Field(discriminator="kind")]
