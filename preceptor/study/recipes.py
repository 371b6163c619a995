"""Which rows a study selects for tuning: its recipes."""

from typing import Annotated, Literal

from pydantic import Field

from preceptor.study.fields import (
    Frozen,
    Name,
    Whole,
)

Positive = Annotated[Whole, Field(gt=0)]


class _Recipe(Frozen):
    """What all recipes share: responses that were cut at the limit of tokens are left out, unless kept."""

    name: Name
    cut_responses: Literal["leave_out", "keep"] = "leave_out"


class OneTeacher(_Recipe):
    """The responses of one teacher: tuned on, they show whether the ranking predicted well."""

    kind: Literal["teacher"]
    teacher: str
    rows: Positive | None = None
    seed: Whole = 0


class BestTeacher(_Recipe):
    """The responses of the teacher that CAR ranks first for a base."""

    kind: Literal["best_teacher"]
    base: str
    rows: Positive | None = None
    seed: Whole = 0


class Random(_Recipe):
    """Random instructions, each with one random response among the teachers'."""

    kind: Literal["random"]
    rows: Positive
    teachers: tuple[str, ...] = ()
    seed: Whole = 0


RowColumn = Literal[
    "reward",
    "mean_nll",
    "perplexity",
    "ifd",
    "ifd_of_perplexities",
    "rank_surprisal_ratio",
    "response_tokens",
]
INSTRUCTION_DIFFICULTIES = (
    "ifd",
    "ifd_of_perplexities",
)  # both end at 1: above it the instruction is no help


class TopK(_Recipe):
    """The k rows, at most one per instruction, with the highest or lowest value of a column.

    `ifd` is the ratio of mean losses, with the instruction over without it, `ifd_of_perplexities` that of
    their exponentials; of either, rows above 1 are never chosen (Cherry LLM, arXiv 2308.12032).
    """

    kind: Literal["top_k"]
    column: RowColumn
    rows: Positive
    order: Literal["highest", "lowest"] = "highest"
    base: str | None = None
    teachers: tuple[str, ...] = ()


class BestOfN(_Recipe):
    """Per instruction, the sample of one teacher that the reward model likes best (or least)."""

    kind: Literal["best_of_n"]
    teacher: str
    rows: None = None  # every instruction that has a reward
    n: Positive | None = None
    order: Literal["best", "worst"] = "best"


AnyRecipe = OneTeacher | BestTeacher | Random | TopK | BestOfN
Recipe = Annotated[AnyRecipe, Field(discriminator="kind")]
