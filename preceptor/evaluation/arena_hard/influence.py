"""Values per question for Arena-Hard's win rates, so that runs can be compared on them.

The mean of a run's values is its win rate. Each value is the win rate plus n times the question's influence,
through the weighted games or through the fit whose style coefficients all runs share.
"""

import numpy as np
import polars as pl

from preceptor.evaluation.arena_hard import Version
from preceptor.evaluation.arena_hard.battles import battles_of_runs
from preceptor.evaluation.arena_hard.fit import SEPARATED, Fit, fits
from preceptor.evaluation.arena_hard.games import COLUMNS, Games, games_by_category, rates
from preceptor.evaluation.arena_hard.reading import read_arena
from preceptor.evaluation.item_values import LINEAR, SCHEMA, Floats, ItemValues, StoredRuns
from preceptor.study.evaluation import ArenaHard

NO_GAME = "no game has a verdict"


def arena_values(runs: StoredRuns[ArenaHard], metric: str, category: str) -> ItemValues:
    """The values per question of a win rate for each run, and the reasons for runs without values.

    Untuned bases use a joint fit with the runs, but do not change the runs' values. Style control reads the
    questions; raises BenchmarkError or RecordsError if they are unreadable.
    """
    battles = battles_of_runs(runs.results, runs.judgments)
    wanted = battles.filter(category=category) if category else battles.with_columns(category=pl.lit(""))
    if metric == "win_rate":
        values = win_rate_values(wanted)
    else:
        untuned = list(runs.untuned)
        version, apart = read_arena(runs.evaluation).version, pl.col("model").is_in(untuned)
        values = style_controlled_values(wanted.filter(~apart), version)
        if not wanted.filter(apart).is_empty():
            together = style_controlled_values(wanted, version)
            values = pl.concat([values, together.filter(pl.col("run").is_in(untuned))])
    played, valued = set(wanted["model"]), set(values["run"])
    silent = (run for run in runs.results["run"].unique(maintain_order=True) if run not in valued)
    why = {run: SEPARATED if run in played else NO_GAME for run in silent}
    return ItemValues(values, LINEAR, None, why)


def win_rate_values(battles: pl.DataFrame) -> pl.DataFrame:
    """For the weighted mean R = Σ w·o / Σ w over a model's games: R + n·Σ w·(o - R) / Σ w by question."""
    frames = [pl.DataFrame(schema=SCHEMA)]
    for games in games_by_category(battles, COLUMNS):
        residual = games.weight * (games.outcome - rates(games, games.weight)[games.model])
        for number, _ in enumerate(games.models):
            own = games.model == number
            share = (
                np.bincount(games.item[own], residual[own], games.item.max() + 1) / games.weight[own].sum()
            )
            frames.append(_values(games, number, rates(games, games.weight)[number], share))
    return pl.concat(frames)


def style_controlled_values(battles: pl.DataFrame, version: Version) -> pl.DataFrame:
    """For the joint fit: σ(strength) + n·σ'·the question's part in the strength's error (Huber's sandwich).

    A model without a finite strength has no values.
    """
    frames = [pl.DataFrame(schema=SCHEMA)]
    for games, fit in fits(battles, version):
        if not np.isfinite(fit.coefficients).all():
            continue
        parts = _parts(games, fit)
        for place, number in enumerate(fit.fitted):
            rate = fit.rates[number]
            frames.append(_values(games, number, rate, rate * (1 - rate) * parts[:, place]))
    return pl.concat(frames)


def _parts(games: Games, fit: Fit) -> Floats:
    """(questions, coefficients): the influence of each question's games on the coefficients."""
    expected = fit.expected()
    weight = games.weight[fit.used]
    curvature = (fit.design.T * (weight * expected * (1 - expected))) @ fit.design + fit.penalty
    scores = fit.design * (weight * (games.outcome[fit.used] - expected))[:, None]
    by_question: Floats = np.zeros((games.item.max() + 1, scores.shape[1]), dtype=np.float64)
    np.add.at(by_question, games.item[fit.used], scores)
    parts: Floats = np.linalg.solve(curvature, by_question.T).T.astype(np.float64)
    return parts


def _values(games: Games, number: int, rate: float, influence: Floats) -> pl.DataFrame:
    """A model's row for each of its questions, centred so that the mean is the rate."""
    own = np.unique(games.item[games.model == number])
    values = rate + len(own) * (influence[own] - influence[own].mean())
    items = games.frame["item_id"].unique().sort().gather(own)
    named = {"run": [games.models[number]] * len(own), "item_id": items, "value": values}
    return pl.DataFrame(named, schema=SCHEMA)
