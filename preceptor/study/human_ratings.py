"""Human ratings of tuned models' answers, from a file."""

from typing import Literal, Self

from pydantic import model_validator

from preceptor.study.evaluation_facts import EvaluationFacts
from preceptor.study.fields import Frozen, Name, Records

Scale = Literal["grade", "acceptance", "preference", "verdict"]
METRICS: dict[Scale, str] = {
    "grade": "excellent_share",
    "acceptance": "acceptance_rate",
    "preference": "win_share",
    "verdict": "win_share",
}


class RatingColumns(Frozen):
    """The columns of a file of human ratings; `other_model` is read if two outputs are compared."""

    item: str = "item"
    model: str = "model"
    rater: str = "rater"
    rating: str = "rating"
    other_model: str = "other_model"


class HumanRatings(EvaluationFacts, Records):
    """Ratings by people of the study's runs, one per row.

    The scale `grade` is LIMA's excellent, pass, fail. `acceptance` is Tülu's yes, no. `preference` is Tülu's
    clearly A, slightly A, tie, slightly B, clearly B. `verdict` is win, tie, lose. The last two compare with
    the model named `reference`.
    """

    name: Name
    kind: Literal["human_ratings"]
    scale: Scale
    reference: str | None = None
    columns: RatingColumns = RatingColumns()

    @property
    def metric(self) -> str:
        """The share of excellent answers, of accepted ones, or of comparisons won."""
        return METRICS[self.scale]

    @property
    def compares(self) -> bool:
        """Whether a rating compares two models' outputs."""
        return self.scale in ("preference", "verdict")

    @model_validator(mode="after")
    def _against_whom(self) -> Self:
        if self.compares != (self.reference is not None):
            needs = (
                "needs 'reference', the model to compare with"
                if self.compares
                else "does not take 'reference': remove it"
            )
            raise ValueError(f"scale {self.scale!r} {needs}")
        return self
