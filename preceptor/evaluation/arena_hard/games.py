"""A category's games as arrays."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preceptor.evaluation.arena_hard.style import FEATURES

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
COLUMNS = ("model", "item_id", "category", "outcome", "weight")
BASELINE_FEATURES = tuple(f"baseline_{feature}" for feature in FEATURES)
STYLE_COLUMNS = (*FEATURES, *BASELINE_FEATURES)


@dataclass(frozen=True)
class Games:
    """A category's rows; `model` and `item` number their models and questions from 0."""

    category: str
    frame: pl.DataFrame
    models: list[str]
    model: Ints
    item: Ints
    outcome: Floats
    weight: Floats


def games_by_category(battles: pl.DataFrame, columns: tuple[str, ...]) -> Iterator[Games]:
    """Yield each category's games. Raises ValueError for a missing column or an invalid value."""
    _refuse_unusable(battles, columns)
    # Resamples must not depend on the rows' order, nor on whether A>>B is one row or three.
    ordered = battles.select(columns).sort("category", *(c for c in columns if c != "weight"))
    for (category,), frame in ordered.group_by("category", maintain_order=True):
        yield Games(
            str(category),
            frame,
            models=frame["model"].unique().sort().to_list(),
            model=_numbered(frame["model"]),
            item=_numbered(frame["item_id"]),
            outcome=frame["outcome"].to_numpy().astype(np.float64),
            weight=frame["weight"].to_numpy().astype(np.float64),
        )


def rates(games: Games, weight: Floats) -> Floats:
    """(models,): the weighted mean outcome, which equals the Bradley-Terry win rate; NaN without battles."""
    count = len(games.models)
    battles, won = (np.bincount(games.model, w, count) for w in (weight, weight * games.outcome))
    found: Floats = np.divide(won, battles, out=np.full(count, np.nan), where=battles > 0)
    return found


def _numbered(names: pl.Series) -> Ints:
    ranks: Ints = names.rank("dense").to_numpy().astype(np.int64)
    return ranks - 1


def _refuse_unusable(battles: pl.DataFrame, columns: tuple[str, ...]) -> None:
    if absent := [column for column in columns if column not in battles.columns]:
        raise ValueError(f"battles lack the columns {', '.join(absent)}: add them")
    if empty := [column for column in columns if battles[column].null_count()]:
        raise ValueError(f"battles have nulls in {', '.join(empty)}: remove games without a verdict")
    if not battles["outcome"].is_in([0.0, 0.5, 1.0]).all():
        raise ValueError("battles have an 'outcome' other than 0, 0.5 and 1: use the model's outcome")
    if not ((battles["weight"] >= 1) & (battles["weight"] % 1 == 0)).all():
        raise ValueError("battles have a 'weight' that is not a whole number from 1: use battles per game")
