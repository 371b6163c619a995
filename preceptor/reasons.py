"""Count the reasons why rows failed."""

import polars as pl

# "empty score in scores.csv:12" and "… :57" count as one reason, and so do "4,097 tokens" and "5,001 tokens".
OF_ONE_ROW = r" in \S+:\d+|\d[\d,.]*"


def reasons(errors: pl.Series) -> list[tuple[str, int]]:
    """Each kind of error with its number of rows, most frequent first. Nulls are ignored.

    The text is that of the first row with the error.
    """
    counted = (
        pl.DataFrame({"error": errors.drop_nulls()})
        .group_by(pl.col("error").str.replace_all(OF_ONE_ROW, "#").alias("kind"), maintain_order=True)
        .agg(pl.col("error").first(), pl.len().alias("rows"))
        .sort("rows", descending=True, maintain_order=True)
    )
    return list(counted.select("error", "rows").iter_rows())
