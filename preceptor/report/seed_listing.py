"""The report's tables of tests of teachers over their training seeds."""

import polars as pl

from preceptor.report.listings import Listing
from preceptor.report.words import NOTHING, decimals, p_value


def seed_listings(seeds: pl.DataFrame) -> list[Listing]:
    """All pairs of teachers, smallest p first; one table per base and benchmark with several seeds."""
    columns = ("teachers", "not tested", "difference", "p of seeds", "p of items", "p adjusted", "seeds")
    listings = []
    for (base, benchmark), rows in seeds.group_by("base", "benchmark", maintain_order=True):
        lines = [
            (
                f"{row['first_teacher']} and {row['second_teacher']}",
                row["error"] or NOTHING,
                decimals(row["difference"], 3),
                *(p_value(row[name]) for name in ("p_seeds", "p_items", "p_adjusted")),
                f"{row['first_seeds']} and {row['second_seeds']}",
            )
            for row in rows.sort("p_value", nulls_last=True, maintain_order=True).iter_rows(named=True)
        ]
        notes = (
            f"Difference: {rows['metric'][0]} of the first teacher's students minus the second's.",
            "p of seeds: Welch's t-test over the seeds' scores. p of items: paired test of the seeds' means.",
            "p adjusted: the larger of the two, by Holm over the pairs of teachers.",
        )
        title = f"{base} on {benchmark}, teachers over their training seeds"
        listings.append(Listing(columns, lines, words=2, title=title, notes=notes))
    return listings
