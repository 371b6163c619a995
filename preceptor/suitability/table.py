"""The tables of the ranking: `suitability` by every metric, `car_table` by CAR, `car_beta_sweep` by β."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from preceptor.current import Current, register_current
from preceptor.fingerprint import fingerprint
from preceptor.lake.schemas import CAR_BETA_SWEEP, CAR_TABLE, SUITABILITY
from preceptor.lake.warehouse import Warehouse
from preceptor.study.schema import Car, Study
from preceptor.suitability.cells import CAR_COLUMNS, Truth, read_cells, used_cells
from preceptor.suitability.estimates import MINIMUM_ROWS, Means, estimates, resample
from preceptor.suitability.metrics import METRICS, REWARD, Metric, car_metric

VERSION = 2
SUITABILITY_VERSION = 1
SWEEP_VERSION = 3  # 3: with intervals
ENOUGH_ROWS = 20  # with fewer CAR's interval misses too often: "Do the intervals hold?" in RESULTS.md


class RankingError(ValueError):
    """A ranking would mislead; the message gives the reason and the setting to change."""


class NothingToRankError(RankingError):
    """No response has both a reward and a loss yet."""


def build_car_table(warehouse: Warehouse, study: Study, current: Current) -> pl.DataFrame:
    """Rows of `car_table`, from a warehouse with ROW_TABLES attached. Only current rows count.

    Raises RankingError where a ranking would mislead.
    """
    settings = study.car
    ranked_by = car_metric(settings.form)
    shown = [ranked_by, METRICS["mean_reward"], METRICS["mean_loss"]]
    _register_estimates(warehouse, study, current, [(metric, settings.beta) for metric in shown])
    table = warehouse.query(
        "ranking/car_table", metric=ranked_by.name, beta=settings.beta, form=settings.form
    )
    return CAR_TABLE.conform(table)


def build_suitability(warehouse: Warehouse, study: Study, current: Current) -> pl.DataFrame:
    """Rows of `suitability`, from a warehouse with ROW_TABLES attached: every metric at the study's β.

    CAR's are those of `car_table`, digit for digit. Raises RankingError as `build_car_table` does.
    """
    metrics = list(METRICS.values())
    _register_estimates(warehouse, study, current, [(metric, study.car.beta) for metric in metrics])
    named = pl.DataFrame(
        [(metric.name, metric.better, ", ".join(metric.reads)) for metric in metrics],
        schema=["metric", "better", "reads"],
        orient="row",
    )
    warehouse.register("metrics", named.with_row_index("metric_index"))
    return SUITABILITY.conform(warehouse.query("ranking/suitability"))


def beta_sweep(warehouse: Warehouse, study: Study, current: Current) -> pl.DataFrame:
    """Rows of `car_beta_sweep`, from a warehouse with ROW_TABLES attached: CAR at every β of the sweep."""
    metric = car_metric(study.car.form)
    _register_estimates(warehouse, study, current, [(metric, beta) for beta in _betas(study.car)])
    return CAR_BETA_SWEEP.conform(warehouse.query("ranking/car_beta_sweep"))


def _register_estimates(
    warehouse: Warehouse, study: Study, current: Current, metrics: Sequence[tuple[Metric, float]]
) -> None:
    """Give the warehouse `coverage` and `estimates` of the study's teachers and bases.

    Raises RankingError where CAR would mislead, whichever of the tables is made.
    """
    columns = tuple(dict.fromkeys((*CAR_COLUMNS, *(c for metric, _ in metrics for c in metric.columns))))
    register_current(warehouse, study, current)
    counted = read_cells(warehouse, study, current, columns)
    warehouse.register("response_counts", counted.responses)
    warehouse.register("loss_counts", counted.losses)
    used = used_cells(counted.cells.there, study.car.rows)
    _refuse_no_common_rows(counted.cells.there, used, study)
    with np.errstate(over="ignore", invalid="ignore"):  # such values are refused below
        found = resample(counted.cells, used, columns, study.car)
        _refuse_misleading(found, study)
        warehouse.register("estimates", estimates(found, metrics, study.car))
    warehouse.keep(
        "coverage", "ranking/coverage", expected=used.shape[-1], reward_model=study.car_reward_model
    )


def car_fingerprint(study: Study, current: Current, versions: dict[str, int]) -> str:
    """Changes with the CAR settings, the teachers and bases, the current rows, and the tables' versions."""
    return fingerprint("car_table", VERSION, **_parts(study, current, versions, exclude={"sweep"}))


def suitability_fingerprint(study: Study, current: Current, versions: dict[str, int]) -> str:
    """Changes with everything in the CAR table's fingerprint, and with the metrics."""
    parts = _parts(study, current, versions, exclude={"sweep"})
    metrics = {metric.name: metric.definition for metric in METRICS.values()}
    return fingerprint("suitability", SUITABILITY_VERSION, metrics=metrics, **parts)


def sweep_fingerprint(study: Study, current: Current, versions: dict[str, int]) -> str:
    """Changes with the values of β, and with everything else in the CAR table's fingerprint."""
    parts = _parts(study, current, versions, exclude={"sweep", "beta"})
    return fingerprint("car_beta_sweep", SWEEP_VERSION, betas=_betas(study.car), **parts)


def few_instructions(table: pl.DataFrame) -> str:
    """A sentence if rows of `car_table` have too few instructions for their intervals; else empty."""
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


def without_a_value(suitability: pl.DataFrame) -> pl.DataFrame:
    """A row is a metric without a value for any teacher of a base: base, metric, most frequent `missing`."""
    none = suitability.filter(pl.col("value").is_null().all().over("base", "metric"))
    most = pl.col("missing").mode().sort().first()
    return none.group_by("base", "metric", maintain_order=True).agg(most)


def _parts(study: Study, current: Current, versions: dict[str, int], exclude: set[str]) -> dict[str, Any]:
    names = {"teachers": [t.name for t in study.teachers], "bases": [b.name for b in study.bases]}
    settings = study.car.model_dump(exclude=exclude)
    return {
        **names,
        **current.parts(),
        "settings": settings,
        "reward_model": study.car_reward_model,
        "versions": versions,
    }


def _betas(settings: Car) -> list[float]:
    return sorted({*settings.sweep, settings.beta})


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


def _refuse_misleading(found: Means, study: Study) -> None:
    values = car_metric(study.car.form).value(found.means, study.car.beta)
    ranked = [
        (study.teachers[teacher].name, found.means[REWARD.name][base, teacher], values[base, teacher])
        for base, teacher in np.argwhere(found.instructions[REWARD.name])
    ]
    table = pl.DataFrame(ranked, schema=["teacher", "mean_reward", "car"], orient="row")
    _refuse_not_positive(table, study.car)
    _refuse_not_finite(table)


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
