"""Spearman's ρ between predictions and outcomes over few teachers, and its conclusion in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from preceptor.statistics.correlation import RankCorrelation, rank_correlation
from preceptor.statistics.multiple import LEVEL


@dataclass(frozen=True)
class PredictorCorrelation(RankCorrelation):
    """The rank correlation of one predictor with the outcomes, as one of a report's `tests` of ρ.

    `reason` explains why a number is None, `untested` why there is no test. `p_adjusted` is Holm's.
    """

    reason: str | None = None
    p_adjusted: float | None = None
    tests: int = 1
    untested: str | None = None


def predictor_correlation(
    predicted: Sequence[float], actual: Sequence[float], untested: str | None = None
) -> PredictorCorrelation:
    """The rank correlation over teachers; only ρ, without a test, if `untested` gives a reason.

    Raises ValueError for unequal lengths and for numbers that are not finite.
    """
    found = rank_correlation(predicted, actual)
    reason = _reason(found, predicted)
    if untested is not None:
        return PredictorCorrelation(found.rho, found.n, reason=reason, untested=untested)
    return PredictorCorrelation(**vars(found), reason=reason)


def correlation_of(row: dict[str, Any]) -> PredictorCorrelation:
    """The rank correlation in a row of `rank_correlations`."""
    return PredictorCorrelation(**{name: row[name] for name in PredictorCorrelation.__dataclass_fields__})


def _reason(found: RankCorrelation, predicted: Sequence[float]) -> str | None:
    if found.n < 2:
        return f"{'only one teacher' if found.n else 'no teacher'} has both a prediction and an outcome"
    if found.rho is None:
        return f"all {found.n} {'outcomes' if len(set(predicted)) > 1 else 'predictions'} are the same"
    if found.n < 4:
        return f"{found.n} teachers are too few for an interval"
    return "Fisher's z gives no interval if all ranks agree" if found.low is None else None


def conclusion(found: PredictorCorrelation) -> str:
    """The conclusion from a rank correlation over teachers, as one sentence."""
    if found.rho is None:
        return f"The rank correlation cannot be computed: {found.reason}."
    if found.p_value is None:
        return f"ρ = {found.rho:.2f} over {found.n} teachers; not tested: {found.untested}."
    note = f" ({found.reason})"
    if found.low is not None and found.high is not None:
        note = f" (95 % interval {found.low:.2f} to {found.high:.2f})"
    start = f"ρ = {found.rho:.2f} over {found.n} teachers{note}, p = {found.p_value:.2g} by permutation"
    adjusted = found.p_value if found.p_adjusted is None else found.p_adjusted
    if found.tests > 1:
        start += f" ({adjusted:.2g} adjusted by Holm for {found.tests} tests of ρ in this report)"
    if adjusted <= LEVEL:
        return f"{start}: {_significant(found.rho, found.low, found.high)}."
    if found.p_value <= LEVEL:
        return f"{start}: not significant among so many tests."
    needed = "no ρ can be significant"
    if found.smallest_significant is not None:
        needed = f"that needs |ρ| ≥ {found.smallest_significant:.2f}"
    return f"{start}: not significant; with {found.n} teachers {needed}."


def _significant(rho: float, low: float | None, high: float | None) -> str:
    order = "significantly agrees with" if rho > 0 else "is significantly the reverse of"
    result = f"the predicted order {order} the students' order"
    if low is None or high is None:
        return result
    if low <= 0 <= high:
        return f"{result}, but the approximate interval includes 0, so treat it as a hint"
    return f"{result}; the interval shows how uncertain its strength is"
