"""Compares students with their untuned base: did tuning change the score on a benchmark?"""

import polars as pl

from preceptor.report.words import counted
from preceptor.statistics.multiple import LEVEL


def untuned_sentence(differences: pl.DataFrame, higher_is_better: bool) -> str | None:
    """How many runs of one base differ from the untuned base on one benchmark.

    `differences` has rows of `eval_differences`. None if nothing was tested. The sentence starts with an
    exclamation mark if no student differs: then the order of the students means little.
    """
    tested = differences.filter(pl.col("untuned")).drop_nulls("p_adjusted")
    if tested.is_empty():
        return None
    differ = tested.filter(pl.col("p_adjusted") <= LEVEL)
    worse = differ.filter((pl.col("difference") < 0) == higher_is_better).height
    students = counted(tested.height, "student")
    if differ.is_empty():
        return (
            f"! none of {students} differs significantly from the untuned base, so none is known to have"
            " learned"
        )
    verb = "differs" if differ.height == 1 else "differ"
    return (
        f"{differ.height} of {students} {verb} significantly from the untuned base"
        f"{f', {worse} for the worse' if worse else ''}"
    )
