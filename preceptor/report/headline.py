"""The answer in one sentence per base: who ranks first, why, and how sure that is."""

from dataclasses import dataclass

import polars as pl

from preceptor.report.lead import in_numbers, lead, reason
from preceptor.report.words import listed, ranks

PAIRED = "paired comparison"


@dataclass(frozen=True)
class Headline:
    """`base`: `first` `why`; `sure`. `numbers`: the why in figures. Without a ranking `first` is None."""

    base: str
    first: str | None
    rank: str
    why: str
    sure: str
    numbers: str

    @property
    def sentence(self) -> str:
        """As plain text."""
        if self.first is None:
            return f"{self.base}: no teacher is ranked."
        return f"{self.base}: {self.first} {self.why}; {self.sure}."


def sentences(ranking: pl.DataFrame) -> dict[str, str]:
    """By base, in the order of a CAR table."""
    bases = ranking["base"].unique(maintain_order=True).to_list()
    return {base: headline(ranking, base).sentence for base in bases}


def headline(ranking: pl.DataFrame, base: str) -> Headline:
    """One base's, from rows of `car_table`."""
    ranked = ranking.filter(pl.col("base") == base, pl.col("missing").is_null())
    if ranked.is_empty():
        return Headline(base, None, "", "", "", "")
    first = ranked.filter(rank=1)
    names = first["teacher"].to_list()
    low, high = first["rank_low"].min(), first["rank_high"].max()
    rank = f"rank {ranks(low, high)} of {ranked.height}"  # type: ignore[arg-type]
    found = lead(ranked, names[0]) if len(names) == 1 else None
    said = reason(found, first["form"][0]) if found else ""
    verb = "ranks first" if len(names) == 1 else "share rank 1"
    why = f"{verb} of {ranked.height}" + (f" {said}" if said else "")
    return Headline(base, listed(names), rank, why, _sure(ranked, first), in_numbers(found) if found else "")


def told_apart(ranked: pl.DataFrame) -> bool:
    """Whether the ranks tell two teachers apart whose intervals of CAR overlap.

    Each interval is of one teacher alone; ranks compare two teachers on the same resampled instructions.
    """
    pairs = ranked.join(ranked, how="cross", suffix="_behind")
    apart = pl.col("rank_high") < pl.col("rank_low_behind")
    return not pairs.filter(apart, pl.col("car_low") <= pl.col("car_high_behind")).is_empty()


def _sure(ranked: pl.DataFrame, first: pl.DataFrame) -> str:
    """Who else could be first; where nobody could, how that is known."""
    rivals = ranked.filter(pl.col("rank") > 1, pl.col("rank_low") == 1)["teacher"].to_list()
    if ranked.height == 1:
        return "there is no other to compare it with"
    if rivals and len(rivals) + first.height == ranked.height:
        return f"but the data allow any of the {ranked.height} to be first"
    if rivals:
        return f"but {listed(rivals)} could be first as well"
    if first.height == ranked.height:
        return "nothing sets them apart"
    sure = f"by {PAIRED} no other could be first under these settings"
    nearest = ranked.filter(pl.col("rank") > 1)["car_high"].max()
    overlap = nearest is not None and first["car_low"].min() is not None and first["car_low"].min() <= nearest  # type: ignore[operator]
    return f"{sure}, though the intervals of CAR overlap" if overlap else sure
