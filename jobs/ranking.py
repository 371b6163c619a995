"""The CAR table as text for a terminal."""

from collections.abc import Iterator

import polars as pl

from preceptor.report.headline import PAIRED, told_apart
from preceptor.report.words import listed
from preceptor.suitability.metrics import Form, labelled
from preceptor.suitability.table import without_a_value


def ranking_text(table: pl.DataFrame, suitability: pl.DataFrame) -> str:
    """One block per base: ranks, CAR, reward, loss, missing teachers, and the first by every other metric.

    `table` has rows of `car_table`, `suitability` rows of `suitability`.
    """
    return "\n".join(
        line
        for base in table["base"].unique(maintain_order=True)
        for line in (*_block(table, base), *_first_by(suitability.filter(base=base), table["form"][0]), "")
    )


def _first_by(suitability: pl.DataFrame, form: Form) -> Iterator[str]:
    """The first teacher by each metric except CAR, one line per metric."""
    metrics = {label: metric for label, metric in labelled(form).items() if label != "CAR"}
    width = max(map(len, metrics))
    for label, metric in metrics.items():
        rows = suitability.filter(metric=metric.name)
        first = rows.filter(rank=1)
        if not first.is_empty():
            row = first.row(0, named=True)
            value = f"{_number(row['value'], 0, 4)} {_interval(row['low'], row['high'])}"
            yield f"  first by {label:{width}}  {listed(first['teacher'])}, {value}"
        elif not rows.is_empty():
            yield f"  first by {label:{width}}  none: {without_a_value(rows)['missing'].item()}"


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
        yield f"  Ranks are a {PAIRED}: they can separate teachers whose CAR intervals overlap"


def _interval(low: float | None, high: float | None) -> str:
    return "too few rows" if low is None or high is None else f"[{_number(low, 0, 4)}, {_number(high, 0, 4)}]"


def _number(value: float, width: int, decimals: int) -> str:
    """A number with aligned decimals; in scientific notation if it is too small or too large for them."""
    shown = value == 0 or 10.0**-decimals <= abs(value) < 1e6
    return f"{value:{width}.{decimals}f}" if shown else f"{value:>{width}.{decimals}g}"


def _share(share: float | None) -> str:
    return f"{'–' if share is None else f'{share:.1%}':>12}"
