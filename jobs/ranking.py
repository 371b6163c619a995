"""The CAR table as text for a terminal."""

from collections.abc import Iterator

import polars as pl

from preceptor.report.headline import PAIRED, told_apart


def ranking_text(table: pl.DataFrame) -> str:
    """One block per base: rank, CAR, their intervals, what CAR is made of, and who is missing."""
    return "\n".join(
        line for base in table["base"].unique(maintain_order=True) for line in _block(table, base)
    )


def _block(table: pl.DataFrame, base: str) -> Iterator[str]:
    rows = table.filter(base=base)
    ranked = rows.filter(pl.col("missing").is_null())
    missing = rows.filter(pl.col("missing").is_not_null())
    if ranked.is_empty():
        yield f"{base}: no teacher can be ranked"
    else:
        yield from _ranked(ranked, base)
    for row in missing.iter_rows(named=True):
        yield f"     -  missing     {row['teacher']}: {row['missing']}"
    yield ""


def _ranked(ranked: pl.DataFrame, base: str) -> Iterator[str]:
    first = ranked.row(0, named=True)
    yield (
        f"{base}: CAR = r / (1 + {first['beta']:g}·L)"
        if first["form"] == "ratio"
        else f"{base}: CAR = r · (1 + {first['beta']:g}·L)"
    ) + f", r from {first['reward_model']}, {first['instructions']} of {first['expected']} instructions"
    width = max(len(name) for name in ranked["teacher"])
    columns = "    CAR  [low, high]          reward    loss  tokens scored"
    yield f"  rank  [low-high]  {'teacher':{width}}  {columns}"
    for row in ranked.iter_rows(named=True):
        span = f"[{row['rank_low']}-{row['rank_high']}]"
        yield (
            f"  {row['rank']:>4}  {span:<10}  {row['teacher']:{width}}  {_number(row['car'], 7, 4)}"
            f"  {_interval(row['car_low'], row['car_high']):16}  {_number(row['mean_reward'], 8, 3)}"
            f"  {_number(row['mean_loss'], 6, 3)}  {_share(row['tokens_scored'])}"
        )
    if told_apart(ranked):
        yield f"  Ranks are a {PAIRED}: they tell teachers apart whose intervals of CAR overlap"


def _interval(low: float | None, high: float | None) -> str:
    return "too few rows" if low is None or high is None else f"[{_number(low, 0, 4)}, {_number(high, 0, 4)}]"


def _number(value: float, width: int, decimals: int) -> str:
    """Decimals that line up; a number that they would not show has a power of ten."""
    shown = value == 0 or 10.0**-decimals <= abs(value) < 1e6
    return f"{value:{width}.{decimals}f}" if shown else f"{value:>{width}.{decimals}g}"


def _share(share: float | None) -> str:
    return f"{'–' if share is None else f'{share:.1%}':>12}"
