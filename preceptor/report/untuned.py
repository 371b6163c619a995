"""Students held against their untuned base: did tuning change anything on this benchmark?"""

import polars as pl

from preceptor.report.agreement import LEVEL
from preceptor.report.evidence import Evidence


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

    Where it is False nothing was learned that this benchmark can see, and no student is the best.
    """
    differs = against_untuned(evidence, base, benchmark)["differs"].drop_nulls()
    return None if differs.is_empty() else bool(differs.any())
