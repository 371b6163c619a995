"""Students held against their untuned base: did tuning change anything on this benchmark?"""

import polars as pl

from preceptor.report.agreement import LEVEL
from preceptor.report.evidence import Evidence
from preceptor.report.words import counted


def against_untuned(evidence: Evidence, base: str, benchmark: str) -> pl.DataFrame:
    """A row is one run of the base: how far it is `ahead` of the untuned base, and whether it `differs`.

    `ahead` is positive where the student is better, of a loss too; `p_adjusted` is Holm's over the base's
    runs. No rows where the base was not evaluated; a run without an item in common has nulls.
    """
    rows = evidence.differences.filter(pl.col("untuned"), base=base, benchmark=benchmark)
    sign = pl.when("higher_is_better").then(1.0).otherwise(-1.0)
    return rows.select(
        run="first_run",
        ahead=pl.col("difference") * sign,
        p_adjusted="p_adjusted",
        differs=pl.col("p_adjusted") <= LEVEL,
    )


def differs_from_untuned(evidence: Evidence, base: str, benchmark: str) -> bool | None:
    """Whether any run of the base differs from the untuned base by more than chance; None where nobody knows.

    Where it is False nothing shows that any student learned what this benchmark asks for: none is the best.
    """
    differs = against_untuned(evidence, base, benchmark)["differs"].drop_nulls()
    return None if differs.is_empty() else bool(differs.any())


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
