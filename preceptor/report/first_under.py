"""The first teacher under other reward maps and other β, because a ranking depends on both settings.

A large shift makes all rewards similar in proportion, so the loss decides. With β = 0 the reward decides.
"""

from dataclasses import dataclass

import polars as pl

from preceptor.report.reward_models import mapped
from preceptor.report.words import counted, listed
from preceptor.study.schema import RewardMap, Study
from preceptor.suitability.metrics import CAR, car_metric

NAMED: dict[str, pl.DataType | type[pl.DataType]] = {"base": pl.String, "map": pl.String}
SCHEMA = NAMED | {"beta": pl.Float64, "first": pl.List(pl.String), "agrees": pl.Boolean}
SHIFTS = (1, 10)  # the shift raises the lowest teacher's mean to this many standard deviations of the rewards
LOSS_ALONE, REWARD_ALONE = "loss alone (infinite shift)", "reward alone"
DIGITS = 12


@dataclass(frozen=True)
class Way:
    """One way to map rewards: its name, and the mean mapped reward of each teacher."""

    name: str
    rewards: pl.Series


def first_under(means: pl.DataFrame, ranking: pl.DataFrame, study: Study) -> pl.DataFrame:
    """A row per base, map and β: the `first` teachers, and whether the CAR table `agrees`.

    `means` has rows of `reward_means` for CAR's reward model. A map is left out if it makes a mean that is
    not positive. A null β means the loss alone; β = 0 means the reward alone.
    """
    rows = []
    for base in study.bases:
        of_base = means.filter(base=base.name)
        first = set(ranking.filter(base=base.name, rank=1)["teacher"])
        if of_base.height < 2 or not first:
            continue
        for name, beta, values in _settings(of_base, study):
            found = _highest(of_base["teacher"].to_list(), values)
            named = {"base": base.name, "map": name, "beta": beta}
            rows.append({**named, "first": found, "agrees": set(found) == first})
    return pl.DataFrame(rows, schema=SCHEMA)


def _settings(means: pl.DataFrame, study: Study) -> list[tuple[str, float | None, pl.Series]]:
    """Every map at every β, then reward alone and loss alone."""
    betas = sorted({beta for beta in (*study.car.sweep, study.car.beta) if beta > 0})
    losses, metric, ways = means["loss"], car_metric(study.car.form), _ways(means, study.car.reward_map)
    found: list[tuple[str, float | None, pl.Series]] = [
        (way.name, beta, pl.Series(metric.of_means(way.rewards.to_numpy(), losses.to_numpy(), beta)))
        for way in ways
        for beta in betas
    ]
    found.append((REWARD_ALONE, 0.0, ways[0].rewards))
    return [*found, (LOSS_ALONE, None, -losses if metric is CAR else losses)]


def _ways(means: pl.DataFrame, own: RewardMap) -> list[Way]:
    """The study's map first, then other maps whose means are all positive."""
    raw = means["reward"]
    ways = [Way(f"{_named(own)}, the study's", mapped(means, own))]
    others = [RewardMap(kind="identity"), RewardMap(kind="sigmoid")]
    ways += [Way(_named(other), mapped(means, other)) for other in others if other.kind != own.kind]
    scatter = float(means["scatter"].to_numpy().mean())
    lowest = float(raw.to_numpy().min())
    if scatter > 0:
        for count in SHIFTS:
            shift = count * scatter - lowest
            ways.append(Way(f"score {'+' if shift >= 0 else '-'} {abs(shift):.3g}", raw + shift))
    return [way for way in ways if bool((way.rewards > 0).all())] or ways[:1]


def _named(reward_map: RewardMap) -> str:
    if reward_map.kind == "affine":
        return f"{reward_map.shift:g} + {reward_map.scale:g} · score"
    return "the score itself" if reward_map.kind == "identity" else "sigmoid of the score"


def _highest(teachers: list[str], values: pl.Series) -> list[str]:
    highest = values.max()
    assert isinstance(highest, float)
    near = (values - highest).abs() <= 10.0**-DIGITS * max(abs(highest), 1e-300)
    return [teacher for teacher, there in zip(teachers, near, strict=True) if there]


def first_under_sentence(rows: pl.DataFrame, first: list[str]) -> str:
    """Sensitivity of the first place to the map and β, from one base's rows; empty if there are none."""
    if rows.is_empty():
        return ""
    stays = rows["agrees"].sum()
    text = (
        f"Under {stays} of {counted(rows.height, 'setting')} of reward map and β, {listed(first)} stays first"
    )
    limits = []
    for name, words in ((REWARD_ALONE, "by reward alone"), (LOSS_ALONE, "by loss alone")):
        row = rows.filter(map=name).row(0, named=True)
        if not row["agrees"]:
            limits.append(f"{words}, {listed(row['first'])} is first")
    return f"{'; '.join([text, *limits])}."
