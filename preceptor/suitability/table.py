"""The CAR table: teachers ranked per base, with intervals, and who is missing."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preceptor.current import Current, register_current
from preceptor.fingerprint import fingerprint
from preceptor.lake.schemas import CAR_TABLE
from preceptor.lake.warehouse import Warehouse
from preceptor.statistics.bootstrap import car, expanded_interval, resampled_means
from preceptor.statistics.ranks import rank_intervals, ranks
from preceptor.study.schema import Car, Study
from preceptor.suitability.cells import read_cells
from preceptor.suitability.used import Truth, used_cells, used_values

VERSION = 2
MINIMUM_ROWS = 10  # resampling fewer instructions says nothing of what others would have given
ENOUGH_ROWS = 20  # with fewer CAR's interval misses too often: "Do the intervals hold?" in RESULTS.md
Floats = NDArray[np.float64]


class RankingError(ValueError):
    """A ranking that would mislead; its text says why and what to set."""


class NothingToRankError(RankingError):
    """No response has both a reward and a loss, or not yet."""


def build_car_table(warehouse: Warehouse, study: Study, current: Current) -> pl.DataFrame:
    """Rows of `car_table`, from a warehouse with ROW_TABLES attached. Only current rows count.

    Raises RankingError where a ranking would mislead.
    """
    settings = study.car
    register_current(warehouse, study, current)
    counted = read_cells(warehouse, study, current)
    warehouse.register("response_counts", counted.responses)
    warehouse.register("loss_counts", counted.losses)
    used = used_cells(counted.cells.there, study.car.rows)
    _refuse_no_common_rows(counted.cells.there, used, study)
    with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is refused below
        warehouse.register("car_estimates", _estimates(used_values(counted.cells, used), study))
    table = warehouse.query(
        "ranking/car_table",
        expected=used.shape[-1],
        reward_model=study.car_reward_model,
        beta=settings.beta,
        form=settings.form,
    )
    table = CAR_TABLE.conform(table)
    _refuse_not_positive(table, settings)
    _refuse_not_finite(table)
    return table


def beta_sweep(warehouse: Warehouse, settings: Car) -> pl.DataFrame:
    """Rows of `car_beta_sweep`, from a warehouse with CAR_TABLE attached."""
    warehouse.register("betas", pl.DataFrame({"beta": sorted({*settings.sweep, settings.beta})}))
    return warehouse.query("ranking/car_beta_sweep", form=settings.form)


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
    base, teacher, rows = (
        ranked.sort("instructions", "base", "teacher").select("base", "teacher", "instructions").row(0)
    )
    stands = f"{teacher}'s CAR for {base} stands on {rows} instructions"
    if rows < MINIMUM_ROWS:
        return f"{stands}: too few for any interval, and every rank is possible. Ask {ENOUGH_ROWS} or more"
    return (
        f"{stands}: a 95 % interval of CAR from so few can hold the truth in only 92 of 100 studies. Ask"
        f" {ENOUGH_ROWS} or more"
    )


def _estimates(used: Floats, study: Study) -> pl.DataFrame:
    """Per base and ranked teacher: mean reward and loss, CAR's interval, the rank and its interval."""
    settings = study.car
    draws = _resampled(used, settings)
    rewards, losses = used
    frames = []
    for base in range(len(study.bases)):
        ranked = np.flatnonzero((~np.isnan(rewards[base])).any(axis=1))
        if not len(ranked):
            continue
        means = np.nanmean(rewards[base, ranked], axis=1), np.nanmean(losses[base, ranked], axis=1)
        values = car(*means, settings.beta, settings.form)
        used_rows = (~np.isnan(rewards[base, ranked])).sum(axis=1)
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


def _resampled(used: Floats, settings: Car) -> Floats:
    """CAR of every resample: (resamples, bases, teachers)."""
    means = resampled_means(used.reshape(-1, used.shape[-1]).T, settings.resamples, settings.seed)
    reward, loss = means.reshape(settings.resamples, *used.shape[:-1]).swapaxes(0, 1)
    return car(reward, loss, settings.beta, settings.form)


def _refuse_no_common_rows(there: Truth, used: Truth, study: Study) -> None:
    if not there.any():
        raise NothingToRankError(
            f"study {study.name!r}: no response has both a reward from {study.car_reward_model} and a loss;"
            " materialize `rewards` and `base_losses` first"
        )
    for base in np.flatnonzero(there.any(axis=(1, 2)) & ~used.any(axis=(1, 2))):
        counts = there[base].sum(axis=1)
        ranked = np.flatnonzero(counts)
        fewest = ranked[counts[ranked].argmin()]
        raise RankingError(
            f"base {study.bases[base].name!r}: no instruction is common to all {len(ranked)} teachers;"
            f" {study.teachers[fewest].name} has the fewest rows ({counts[fewest]}). Complete it, drop it"
            " from the study, or set 'car.rows: available'"
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
