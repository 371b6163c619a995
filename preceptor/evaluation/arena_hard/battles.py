"""Arena-Hard's games as rows: outcome, weight, and the style of both answers."""

import re
from functools import lru_cache
from typing import Any

import polars as pl

from preceptor.evaluation.arena_hard.games import STYLE_COLUMNS
from preceptor.evaluation.arena_hard.reading import Arena
from preceptor.evaluation.arena_hard.style import FEATURES, Style, style_of
from preceptor.evaluation.arena_hard.verdicts import SPELLINGS, weight
from preceptor.evaluation.results import TURN_BREAK

BATTLES = "a game won by far counts as three battles; 95 % by 1,000 resamples of whole questions"
WORDS = re.compile(r"\w+|[^\w\s]")  # the authors count tokens with an encoding that must be downloaded


def battles_of(run: str, results: pl.DataFrame, judgments: pl.DataFrame) -> pl.DataFrame:
    """A row for each game with a verdict, of items with an outcome, with the style of both answers."""
    good = {row["item_id"]: row for row in results.drop_nulls("outcome").iter_rows(named=True)}
    rows = []
    for game in judgments.drop_nulls("outcome").iter_rows(named=True):
        if game["item_id"] in good:
            rows.append(_battle(run, good[game["item_id"]], game))
    strings = dict.fromkeys(("model", "item_id", "category"), pl.String)
    numbers = dict.fromkeys(("outcome", "weight", *STYLE_COLUMNS), pl.Float64)
    return pl.DataFrame(rows, schema={**strings, **numbers})


def battles_of_runs(results: pl.DataFrame, judgments: pl.DataFrame) -> pl.DataFrame:
    """The games of all runs that have results, run by run."""
    runs = results["run"].unique(maintain_order=True).to_list()
    return pl.concat(
        [battles_of("", results.clear(), judgments.clear())]
        + [battles_of(run, results.filter(run=run), judgments.filter(run=run)) for run in runs]
    )


def parts(battles: pl.DataFrame, arena: Arena) -> list[pl.DataFrame]:
    """The battles that are fitted together: all for v0.1, each category alone for v2.0."""
    together = [battles.with_columns(category=pl.lit(""))] if arena.pooled else []
    return together + ([battles] if len(arena.baselines) > 1 else [])


def by_one_game(results: pl.DataFrame, judgments: pl.DataFrame) -> dict[str, int]:
    """The number of items by category with a verdict in one of their two games only."""
    orders = judgments.drop_nulls("outcome").group_by("item_id").agg(pl.col("shown").n_unique())
    found = results.drop_nulls("outcome").join(orders.filter(shown=1), on="item_id", how="semi")
    return dict(found.group_by("task").len().iter_rows())


def _battle(run: str, result: dict[str, Any], game: dict[str, Any]) -> dict[str, Any]:
    label = SPELLINGS.get(game["verdict"])
    styles = _style("", TURN_BREAK.join(result["response"])) | _style("baseline_", result["reference"])
    return {
        "model": run,
        "item_id": result["item_id"],
        "category": result["task"],
        "outcome": game["outcome"],
        "weight": 1.0 if label is None else float(weight(label)),  # None: equal texts, not judged
        **styles,
    }


def _style(prefix: str, text: str) -> dict[str, float]:
    style = _known_style(text)
    return {f"{prefix}{feature}": float(vars(style)[feature]) for feature in FEATURES}


@lru_cache(maxsize=4096)  # answers occur in two games, a baseline's answers in those of all runs
def _known_style(text: str) -> Style:
    return style_of(text, len(WORDS.findall(text)))
