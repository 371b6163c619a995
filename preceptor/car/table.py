"""The CAR table: teachers ranked per base, with intervals, and who is missing."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preceptor.car.bootstrap import car, expanded_interval, resampled_means
from preceptor.car.ranks import rank_intervals, ranks
from preceptor.current import Current, register_current
from preceptor.fingerprint import fingerprint
from preceptor.lake.schemas import CAR_TABLE
from preceptor.lake.warehouse import Warehouse
from preceptor.study.schema import Car, Study

VERSION = 2
MINIMUM_ROWS = 10  # resampling fewer instructions says nothing of what others would have given
ENOUGH_ROWS = (
    20  # with fewer, CAR's interval misses too often (benchmarks/RESULTS.md, "Do the intervals hold?")
)
Floats = NDArray[np.float64]


class RankingError(ValueError):
    """A ranking that would mislead; its text says why and what to set."""


class NothingToRankError(RankingError):
    """No response has both a reward and a loss, or not yet."""


@dataclass(frozen=True)
class Cells:
    """Dense (bases, teachers, instructions) rewards and losses, NaN where a teacher has none."""

    reward: Floats
    loss: Floats


def build_car_table(warehouse: Warehouse, study: Study, current: Current) -> pl.DataFrame:
    """Rows of `car_table`, from a warehouse with ROW_TABLES attached. Only current rows count.

    Raises RankingError where a ranking would mislead.
    """
    settings = study.car
    register_current(warehouse, study, current)
    warehouse.keep("instruction_indices", "instruction_indices")
    reward_map = settings.reward_map
    warehouse.keep(
        "car_responses", "car_responses", map=reward_map.kind, shift=reward_map.shift, scale=reward_map.scale
    )
    for name in ("car_losses", "car_cells"):
        warehouse.keep(name, name)
    warehouse.keep("car_used_cells", f"car_{settings.rows}_cells")
    used = warehouse.rows("car_used_cells")
    _refuse_no_common_rows(warehouse.rows("car_cells"), used, study)
    with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is refused below
        warehouse.register("car_estimates", _estimates(used, study))
    table = warehouse.query(
        "car_table", reward_model=study.car_reward_model, beta=settings.beta, form=settings.form
    )
    table = CAR_TABLE.conform(table)
    _refuse_not_positive(table, settings)
    _refuse_not_finite(table)
    return table


def beta_sweep(warehouse: Warehouse, settings: Car) -> pl.DataFrame:
    """Rows of `car_beta_sweep`, from a warehouse with CAR_TABLE attached."""
    warehouse.register("betas", pl.DataFrame({"beta": sorted({*settings.sweep, settings.beta})}))
    return warehouse.query("car_beta_sweep", form=settings.form)


def car_fingerprint(study: Study, current: Current, versions: dict[str, int]) -> str:
    """Changes with the CAR settings, who takes part, which rows count, and the tables' versions."""
    names = {"teachers": [t.name for t in study.teachers], "bases": [b.name for b in study.bases]}
    settings = study.car.model_dump(exclude={"sweep"})
    parts = {**names, **current.parts(), "settings": settings, "reward_model": study.car_reward_model}
    return fingerprint("car_table", VERSION, versions=versions, **parts)


def sweep_fingerprint(settings: Car, versions: dict[str, int]) -> str:
    """Changes with the values of β and the version of the CAR table."""
    betas = sorted({*settings.sweep, settings.beta})
    return fingerprint("car_beta_sweep", VERSION, betas=betas, form=settings.form, versions=versions)


def few_instructions(table: pl.DataFrame) -> str:
    """Says where rows of `car_table` stand on too few instructions for their intervals; empty if none do."""
    ranked = table.filter(pl.col("missing").is_null(), pl.col("instructions") < ENOUGH_ROWS)
    if ranked.is_empty():
        return ""
    base, teacher, rows = ranked.sort("instructions").select("base", "teacher", "instructions").row(0)
    stands = f"{teacher}'s CAR for {base} stands on {rows} instructions"
    if rows < MINIMUM_ROWS:
        return f"{stands}: too few for any interval, and every rank is possible. Ask {ENOUGH_ROWS} or more"
    return (
        f"{stands}: a 95 % interval of CAR from so few can hold the truth in only 92 of 100 studies. Ask"
        f" {ENOUGH_ROWS} or more"
    )


def _estimates(used: pl.DataFrame, study: Study) -> pl.DataFrame:
    """Per base and ranked teacher: mean reward and loss, CAR's interval, the rank and its interval."""
    settings = study.car
    cells = _dense(used, len(study.bases), len(study.teachers))
    draws = _resampled(cells, settings)
    frames = []
    for base in range(len(study.bases)):
        ranked = np.flatnonzero((~np.isnan(cells.reward[base])).any(axis=1))
        if not len(ranked):
            continue
        means = np.nanmean(cells.reward[base, ranked], axis=1), np.nanmean(cells.loss[base, ranked], axis=1)
        values = car(*means, settings.beta, settings.form)
        used_rows = (~np.isnan(cells.reward[base, ranked])).sum(axis=1)
        replicates = np.where(used_rows < MINIMUM_ROWS, np.nan, draws[:, base, ranked])
        frame = _base_intervals(base, ranked, values, replicates, used_rows, settings)
        columns = {"mean_reward": means[0], "mean_loss": means[1], "instructions": used_rows}
        frames.append(frame.with_columns(pl.Series(name, column) for name, column in columns.items()))
    return pl.concat(frames)


def _base_intervals(
    base: int,
    ranked: NDArray[np.int64],
    values: Floats,
    draws: Floats,
    instructions: NDArray[np.int64],
    settings: Car,
) -> pl.DataFrame:
    low, high = expanded_interval(draws, settings.confidence, instructions)
    best, worst = rank_intervals(values, draws, settings.confidence, instructions, settings.seed)
    return pl.DataFrame(
        {
            "base_index": np.full(len(ranked), base, dtype=np.int32),
            "teacher_index": ranked.astype(np.int32),
            "rank": ranks(values),
            "rank_low": best,
            "rank_high": worst,
            "car_low": low,
            "car_high": high,
        }
    ).with_columns(pl.col("car_low", "car_high").fill_nan(None))


def _dense(used: pl.DataFrame, bases: int, teachers: int) -> Cells:
    index = used["instruction_index"].to_numpy()
    present = np.bincount(index) > 0  # an instruction that nothing uses would be drawn for nothing
    places = (np.cumsum(present) - 1)[index]
    at = used["base_index"].to_numpy(), used["teacher_index"].to_numpy(), places
    shape = (bases, teachers, int(present.sum()))
    cells = Cells(np.full(shape, np.nan), np.full(shape, np.nan))
    cells.reward[at] = used["reward"].to_numpy()
    cells.loss[at] = used["loss"].to_numpy()
    return cells


def _resampled(cells: Cells, settings: Car) -> Floats:
    """CAR of every resample: (resamples, bases, teachers)."""
    bases, teachers, instructions = cells.reward.shape
    columns = np.concatenate([cells.reward.reshape(-1, instructions), cells.loss.reshape(-1, instructions)]).T
    means = resampled_means(columns, settings.resamples, settings.seed)
    means = means.reshape(settings.resamples, 2, bases, teachers)
    return car(means[:, 0], means[:, 1], settings.beta, settings.form)


def _refuse_no_common_rows(cells: pl.DataFrame, used: pl.DataFrame, study: Study) -> None:
    if cells.is_empty():
        raise NothingToRankError(
            f"study {study.name!r}: no response has both a reward from {study.car_reward_model} and a loss;"
            " materialize `rewards` and `base_losses` first"
        )
    for base in set(cells["base_index"]) - set(used["base_index"]):
        counts = cells.filter(base_index=base)["teacher_index"].value_counts().sort("count")
        fewest = study.teachers[counts["teacher_index"][0]].name
        raise RankingError(
            f"base {study.bases[base].name!r}: no instruction is common to all {counts.height} teachers;"
            f" {fewest} has the fewest rows ({counts['count'][0]}). Complete it, drop it from the study, or"
            " set 'car.rows: available'"
        )


def _refuse_not_positive(table: pl.DataFrame, settings: Car) -> None:
    bad = table.filter(pl.col("mean_reward") <= 0).unique("teacher", maintain_order=True)
    if bad.is_empty():
        return
    named = ", ".join(f"{t} ({r:.4g})" for t, r in bad.select("teacher", "mean_reward").head(5).iter_rows())
    affine = "{kind: affine, shift: …, scale: …}, which keeps scores above zero"
    if settings.reward_map.kind == "sigmoid":
        cure = f"σ of a score below -709 is 0: set 'car.reward_map' to {affine}, or mend the scores"
    else:
        cure = f"Set 'car.reward_map' (now {settings.reward_map.kind}) to {{kind: sigmoid}}, or to {affine}"
    raise RankingError(
        f"the mean reward of {bad.height} teacher{'' if bad.height == 1 else 's'} is not positive: {named}."
        f" CAR divides r by 1 + β·L, so a larger loss would raise a negative r. {cure}"
    )


def _refuse_not_finite(table: pl.DataFrame) -> None:
    bad = table.filter(~pl.col("car").is_finite()).unique("teacher", maintain_order=True)
    if not bad.is_empty():
        raise RankingError(
            f"rewards or losses of {', '.join(bad['teacher'].head(5))} are too large to be averaged: CAR is"
            f" {bad['car'][0]}. Set 'car.reward_map' to {{kind: sigmoid}}, or mend the scores"
        )
