"""What Spearman's ρ between predictions and outcomes of so few teachers allows to conclude."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from preceptor.statistics.correlation import RankCorrelation, rank_correlation
from preceptor.statistics.multiple import LEVEL


@dataclass(frozen=True)
class PredictorCorrelation(RankCorrelation):
    """The rank correlation of one predictor with what came out, as one of a report's `tests` of ρ.

    `reason` says why a number is None; `untested`, why nothing is tested. `p_adjusted` is Holm's.
    """

    reason: str | None = None
    p_adjusted: float | None = None
    tests: int = 1
    untested: str | None = None


def predictor_correlation(
    predicted: Sequence[float], actual: Sequence[float], untested: str | None = None
) -> PredictorCorrelation:
    """The rank correlation over teachers; ρ alone where there is a reason to leave it `untested`.

    Raises ValueError for unequal lengths and for numbers that are not finite.
    """
    found = rank_correlation(predicted, actual)
    reason = _reason(found, predicted)
    if untested is not None:
        return PredictorCorrelation(found.rho, found.n, reason=reason, untested=untested)
    return PredictorCorrelation(**vars(found), reason=reason)


def correlation_of(row: dict[str, Any]) -> PredictorCorrelation:
    """A row of `rank_correlations` as what it was made of."""
    return PredictorCorrelation(**{name: row[name] for name in PredictorCorrelation.__dataclass_fields__})


def _reason(found: RankCorrelation, predicted: Sequence[float]) -> str | None:
    if found.n < 2:
        return f"{'only one teacher' if found.n else 'no teacher'} has both a prediction and an outcome"
    if found.rho is None:
        return f"all {found.n} {'outcomes' if len(set(predicted)) > 1 else 'predictions'} are the same"
    if found.n < 4:
        return f"{found.n} teachers give no interval"
    return "Fisher's z gives no interval where all agree" if found.low is None else None


def conclusion(found: PredictorCorrelation) -> str:
    """What a rank correlation over teachers allows to conclude, in plain words."""
    if found.rho is None:
        return f"No agreement can be computed: {found.reason}."
    if found.p_value is None:
        return f"ρ = {found.rho:.2f} over {found.n} teachers; not tested: {found.untested}."
    note = f" ({found.reason})"
    if found.low is not None and found.high is not None:
        note = f"; its 95 % interval runs from {found.low:.2f} to {found.high:.2f}"
    start = f"ρ = {found.rho:.2f} over {found.n} teachers{note}, and p = {found.p_value:.2g} by permutation"
    adjusted = found.p_value if found.p_adjusted is None else found.p_adjusted
    if found.tests > 1:
        start += f" ({adjusted:.2g} as one of {found.tests} tests of ρ in this report, by Holm)"
    if adjusted <= LEVEL:
        return f"{start}: {_significant(found.rho, found.low, found.high)}."
    if found.p_value <= LEVEL:
        return f"{start}, so among so many tests this cannot be told from no agreement."
    needed = ", and neither could any other ρ"
    if found.smallest_significant is not None:
        needed = f": it would take |ρ| ≥ {found.smallest_significant:.2f}"
    return f"{start}, so with {found.n} teachers this cannot be told from no agreement{needed}."


def _significant(rho: float, low: float | None, high: float | None) -> str:
    how = "agrees with what came out" if rho > 0 else "is the reverse of what came out,"
    said = f"the predicted order {how} more than chance would"
    if low is None or high is None:
        return said
    if low <= 0 <= high:
        return f"{said}, but the interval, which is approximate, includes none: take it as a hint"
    return f"{said}; how closely, the interval leaves open"
