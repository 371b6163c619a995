"""Simulated battles, and the style features of one by the authors' formulas."""

import numpy as np
import polars as pl

STYLE = ["tokens", "headers", "lists", "bold"]
BASELINE = [f"baseline_{name}" for name in STYLE]
VERSIONS = ["v0.1", "v2.0"]


def frame(rows) -> pl.DataFrame:
    """Battles from (model, question, outcome, weight)."""
    columns = {"model": pl.Int64, "item_id": pl.Int64, "outcome": pl.Float64, "weight": pl.Int64}
    numbers = pl.DataFrame(list(rows), schema=columns, orient="row")
    return numbers.with_columns(
        pl.format("m{}", "model").alias("model"),
        pl.format("q{}", "item_id").alias("item_id"),
        category=pl.lit("c"),
    )


def styled(
    strengths: list[float], questions: int, effects: list[float] | None = None, seed: int = 0
) -> pl.DataFrame:
    """Simulated games with ties, two a question; `effects` are of v0.1's features as they are."""
    generator = np.random.default_rng(seed)
    n = len(strengths) * questions * 2
    model = np.repeat(np.arange(len(strengths)), questions * 2)
    mine, others = (np.array([9, 0, 0, 0]) + generator.negative_binomial(2, 0.1, (n, 4)) for _ in range(2))
    raw = (mine - others) / (mine + others + 1)
    chance = 1 / (1 + np.exp(-np.array(strengths)[model] - raw @ np.array(effects or [0.0] * 4)))
    # The mean of two wins is an outcome of 0, 0.5 or 1 with the chance as its mean.
    outcome = (generator.random((2, n)) < chance).mean(axis=0)
    item = np.tile(np.repeat(np.arange(questions), 2), len(strengths))
    battles = frame(
        zip(model.tolist(), item.tolist(), outcome, generator.choice([1, 3], n).tolist(), strict=True)
    )
    return battles.hstack(pl.DataFrame(mine, schema=STYLE)).hstack(pl.DataFrame(others, schema=BASELINE))


def swapped(battles: pl.DataFrame) -> pl.DataFrame:
    """The same games with the baseline's answers as the model's."""
    exchanged = {**dict(zip(STYLE, BASELINE, strict=True)), **dict(zip(BASELINE, STYLE, strict=True))}
    return battles.rename(
        {old: new for old, new in exchanged.items() if old in battles.columns}
    ).with_columns(outcome=1 - pl.col("outcome"))


def raw_features(row: dict, version: str) -> list[float]:
    mine, others = [row[name] for name in STYLE], [row[name] for name in BASELINE]
    if version == "v0.1":
        return [(a - b) / (a + b + 1) for a, b in zip(mine, others, strict=True)]
    densities = [(a / (mine[0] + 1), b / (others[0] + 1)) for a, b in zip(mine[1:], others[1:], strict=True)]
    return [(mine[0] - others[0]) / (mine[0] + others[0]), *((a - b) / (a + b + 1) for a, b in densities)]
