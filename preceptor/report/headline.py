"""The answer in one sentence per base: which teacher ranks first, why, and how certain that is."""

from dataclasses import dataclass

import polars as pl

from preceptor.report.lead import in_numbers, lead, reason
from preceptor.report.words import listed, ranks

PAIRED = "paired comparison"


@dataclass(frozen=True)
class Headline:
    """The sentence is `base`: `first` `why`; `sure`. `numbers` quantifies `why`.

    `first` is None if no teacher is ranked.
    """

    base: str
    first: str | None
    rank: str
    why: str
    sure: str
    numbers: str

    @property
    def sentence(self) -> str:
        """The headline as plain text."""
        if self.first is None:
            return f"{self.base}: no teacher is ranked."
        return f"{self.base}: {self.first} {self.why}; {self.sure}."


def sentences(ranking: pl.DataFrame) -> dict[str, str]:
    """The headline of each base, in the order of `car_table`."""
    bases = ranking["base"].unique(maintain_order=True).to_list()
    return {base: headline(ranking, base).sentence for base in bases}


def headline(ranking: pl.DataFrame, base: str) -> Headline:
    """One base's headline. `ranking` has rows of `car_table`."""
    ranked = ranking.filter(pl.col("base") == base, pl.col("missing").is_null())
    if ranked.is_empty():
        return Headline(base, None, "", "", "", "")
    first = ranked.filter(rank=1)
    names = first["teacher"].to_list()
    low, high = first["rank_low"].min(), first["rank_high"].max()
    rank = f"rank {ranks(low, high)} of {ranked.height}"  # type: ignore[arg-type]
    found = lead(ranked, names[0]) if len(names) == 1 else None
    cause = reason(found, first["form"][0]) if found else ""
    verb = "ranks first" if len(names) == 1 else "share rank 1"
    why = f"{verb} of {ranked.height}" + (f" {cause}" if cause else "")
    return Headline(base, listed(names), rank, why, _sure(ranked, first), in_numbers(found) if found else "")


def told_apart(ranked: pl.DataFrame) -> bool:
    """Whether the ranks separate two teachers whose CAR intervals overlap.

    Each interval covers one teacher alone. Ranks compare two teachers on the same resampled instructions.
    """
    pairs = ranked.join(ranked, how="cross", suffix="_behind")
    apart = pl.col("rank_high") < pl.col("rank_low_behind")
    return not pairs.filter(apart, pl.col("car_low") <= pl.col("car_high_behind")).is_empty()


def _sure(ranked: pl.DataFrame, first: pl.DataFrame) -> str:
    """Which other teachers could be first; if none could, the reason."""
    rivals = ranked.filter(pl.col("rank") > 1, pl.col("rank_low") == 1)["teacher"].to_list()
    if ranked.height == 1:
        return "there is no other teacher to compare it with"
    if rivals and len(rivals) + first.height == ranked.height:
        return f"but any of the {ranked.height} could be first"
    if rivals:
        return f"but {listed(rivals)} could be first as well"
    if first.height == ranked.height:
        return "the data cannot separate them"
    sure = f"by {PAIRED}, no other teacher could be first under these settings"
    nearest = ranked.filter(pl.col("rank") > 1)["car_high"].max()
    overlap = nearest is not None and first["car_low"].min() is not None and first["car_low"].min() <= nearest  # type: ignore[operator]
    return f"{sure}, though the intervals of CAR overlap" if overlap else sure
