"""Students held against their untuned base: did tuning change anything on this benchmark?"""

import polars as pl

from preceptor.report.words import counted
from preceptor.statistics.multiple import LEVEL


def untuned_sentence(differences: pl.DataFrame, higher_is_better: bool) -> str | None:
    """How one base's runs on one benchmark stand to the untuned base, from rows of `eval_differences`.

    None where nobody can say. It begins with an exclamation mark where no order of the students means much.
    """
    tested = differences.filter(pl.col("untuned")).drop_nulls("p_adjusted")
    if tested.is_empty():
        return None
    differ = tested.filter(pl.col("p_adjusted") <= LEVEL)
    worse = differ.filter((pl.col("difference") < 0) == higher_is_better).height
    students = counted(tested.height, "student")
    if differ.is_empty():
        return (
            f"! none of {students} differs from the untuned base beyond chance: none is known to have learned"
        )
    said = (
        f"{differ.height} of {students} {'differs' if differ.height == 1 else 'differ'} from the untuned base"
    )
    return f"{said} beyond chance{f', {worse} for the worse' if worse else ''}"
