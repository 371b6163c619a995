"""Means of several benchmarks' main metrics, such as the Average Performance that CAR predicts."""

from typing import Annotated

from pydantic import AfterValidator

from preceptor.study.fields import EvaluationName, Frozen, Name


def _several(value: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(value)) < max(2, len(value)):
        raise ValueError("an average needs at least two evaluations, each named once")
    return value


class Average(Frozen):
    """A run's mean over benchmarks: AP = (length-controlled AlpacaEval 2 + Arena-Hard) / 2 (2411.07133)."""

    name: Name
    """The average's name."""
    of: Annotated[tuple[EvaluationName, ...], AfterValidator(_several)]
    """Evaluations whose main metrics are averaged."""
