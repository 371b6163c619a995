"""Who would be first under other reward maps and other β: a ranking holds for one of each.

A shift in the map makes rewards alike in proportion and leaves the loss to decide; without β the reward does.
"""

from dataclasses import dataclass

import polars as pl

from preceptor.report.reward_models import mapped
from preceptor.report.words import counted, listed
from preceptor.study.schema import RewardMap, Study
from preceptor.suitability.metrics import CAR, car_metric

NAMED: dict[str, pl.DataType | type[pl.DataType]] = {"base": pl.String, "map": pl.String}
SCHEMA = NAMED | {"beta": pl.Float64, "first": pl.List(pl.String), "agrees": pl.Boolean}
SHIFTS = (1, 10)  # standard deviations of the rewards that the lowest teacher's mean is lifted to
LOSS_ALONE, REWARD_ALONE = "loss alone (a shift without end)", "reward alone"
DIGITS = 12


@dataclass(frozen=True)
class Way:
    """One way to map rewards: what to call it, and the mean mapped reward of each teacher."""

    name: str
    rewards: pl.Series


def first_under(means: pl.DataFrame, ranking: pl.DataFrame, study: Study) -> pl.DataFrame:
    """A row is a base, a map and a β: its `first` teachers, and whether these are the CAR table's (`agrees`).

    `means` are `reward_means` of CAR's reward model. A map under which a mean is not positive gives no row.
    Without a β stands the loss alone; β = 0 is the reward alone.
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
    """The study's own map first; of the others those with positive means only."""
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
    """How far the first place hangs on the map and on β, from one base's rows; empty where there are none."""
    if rows.is_empty():
        return ""
    stays = rows["agrees"].sum()
    said = (
        f"Under {stays} of {counted(rows.height, 'setting')} of reward map and β {listed(first)} stays first"
    )
    limits = []
    for name, words in ((REWARD_ALONE, "with reward alone"), (LOSS_ALONE, "with loss alone")):
        row = rows.filter(map=name).row(0, named=True)
        if not row["agrees"]:
            limits.append(f"{words} it is {listed(row['first'])}")
    return f"{'; '.join([said, ', '.join(limits)] if limits else [said])}."
