"""The CAR table of 2 M responses, 2 M rewards and 10 M losses, against Polars and SciPy.

    python benchmarks/car_table.py [--instructions 100000] [--teachers 20] [--bases 5]

Cells and means: DuckDB's statements in sql/ against the same join and means as a lazy Polars query over the
same files. Intervals: our bootstrap of all teachers and bases against scipy.stats.bootstrap of one teacher
for one base, times their number.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from scipy import stats

from preceptor.car.table import build_car_table
from preceptor.current import ROW_TABLES, Current
from preceptor.lake.schemas import BASE_LOSSES, RAW_INSTRUCTIONS, RESPONSES, REWARDS, Table
from preceptor.lake.store import Lake
from preceptor.lake.warehouse import Warehouse
from preceptor.study.schema import Study
from preceptor.text import digest

SQL = Path(__file__).parent.parent / "sql"
SCIPY_RESAMPLES = 100


def study_of(teachers: int, bases: int) -> Study:
    """A study whose parts exist by name only."""
    return Study.model_validate(
        {
            "name": "benchmark",
            "instructions": {"sources": [{"name": "made", "path": __file__}]},
            "teachers": [
                {"name": f"teacher-{t}", "engine": "recorded", "path": __file__} for t in range(teachers)
            ],
            "bases": [{"name": f"base-{b}", "model": "made/up"} for b in range(bases)],
            "reward_models": [{"name": "reward", "engine": "recorded", "path": __file__}],
        }
    )


def fill(lake: Lake, instructions: int, study: Study) -> None:
    """Write random rows of every table."""
    generator = np.random.default_rng(0)
    ids = [digest(str(i)) for i in range(instructions)]
    shared = {"instruction_id": ids, "prompt_hash": ids, "sample": 0}
    lake.publish(RAW_INSTRUCTIONS, padded(RAW_INSTRUCTIONS, {**shared, "source": "made"}), {}, "benchmark")
    for number, teacher in enumerate(study.teachers):
        keys = {**shared, "response_id": [digest(teacher.name, id) for id in ids]}
        place = {"teacher": teacher.name}
        lake.publish(RESPONSES, padded(RESPONSES, keys), place, "benchmark")
        reward = generator.normal(5 + number / 20, 2, instructions)
        rewards = padded(REWARDS, {**keys, "reward": reward})
        lake.publish(REWARDS, rewards, {**place, "reward_model": "reward"}, "benchmark")
        for base in study.bases:
            tokens = generator.integers(50, 500, instructions)
            losses = {**keys, "tokens": tokens, "response_tokens": tokens}
            losses["nll_sum"] = tokens * generator.gamma(20, 0.06, instructions)
            lake.publish(BASE_LOSSES, padded(BASE_LOSSES, losses), {**place, "base": base.name}, "benchmark")


def padded(table: Table, columns: dict[str, object]) -> pl.DataFrame:
    """The columns given, and nulls for the table's others."""
    frame = pl.DataFrame({name: columns[name] for name in table.row_schema if name in columns})
    missing = [pl.lit(None).alias(name) for name in table.row_schema if name not in columns]
    return table.conform(frame.with_columns(missing))


def timed(work: Callable[[], object]) -> tuple[float, object]:
    """Seconds and result."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def attached(lake: Lake) -> Warehouse:
    """A fresh session over the lake."""
    warehouse = Warehouse(lake, SQL)
    warehouse.attach(*ROW_TABLES)
    return warehouse


def polars_means(lake: Lake) -> pl.DataFrame:
    """The peer: what car_cells.sql and the means of car_table.sql compute, as one lazy Polars query."""

    def scan(table: Table) -> pl.LazyFrame:
        delta = lake.open(table)
        assert delta is not None
        return pl.scan_parquet(delta.file_uris(), hive_partitioning=True)

    rewards = scan(REWARDS).select("response_id", "reward")
    losses = scan(BASE_LOSSES).filter(pl.col("error").is_null())
    joined = (
        scan(RESPONSES)
        .select("response_id", "instruction_id")
        .join(rewards, on="response_id")
        .join(losses.drop("instruction_id"), on="response_id")
    )
    cells = joined.group_by("base", "teacher", "instruction_id").agg(
        pl.col("reward").mean(), (pl.col("nll_sum") / pl.col("tokens")).mean().alias("loss")
    )
    return cells.group_by("base", "teacher").agg(pl.col("reward").mean(), pl.col("loss").mean()).collect()


def scipy_interval(instructions: int) -> object:
    """The peer: one teacher's CAR for one base, by scipy.stats.bootstrap."""
    generator = np.random.default_rng(0)
    rows = generator.normal(5, 1, instructions), generator.gamma(20, 0.06, instructions)
    return stats.bootstrap(
        rows,
        lambda r, loss, axis: r.mean(axis=axis) / (1 + 3 * loss.mean(axis=axis)),
        paired=True,
        n_resamples=SCIPY_RESAMPLES,
        method="percentile",
        batch=20,
    )


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser()
    for name, default in (("instructions", 100_000), ("teachers", 20), ("bases", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    study = study_of(options.teachers, options.bases)
    teachers = {teacher.name: "benchmark" for teacher in study.teachers}
    current = Current(teachers, teachers, {base.name: "benchmark" for base in study.bases})
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder, study.name)
        seconds, _ = timed(lambda: fill(lake, options.instructions, study))
        responses = options.instructions * options.teachers
        print(f"{responses:,} responses, {responses * options.bases:,} losses, written in {seconds:.0f} s\n")
        few = study.model_copy(update={"car": study.car.model_copy(update={"resamples": 100})})
        means, _ = timed(lambda: build_car_table(attached(lake), few, current))
        whole, _ = timed(lambda: build_car_table(attached(lake), study, current))
        peer_means, _ = timed(lambda: polars_means(lake))
        one, _ = timed(lambda: scipy_interval(options.instructions))
    resamples = study.car.resamples
    peer_intervals = one * options.teachers * options.bases * resamples / SCIPY_RESAMPLES
    intervals = (whole - means) * resamples / (resamples - 100)
    rest = whole - intervals
    print("| part | Preceptor, s | peer | peer, s | peer / Preceptor |")
    print("| --- | --- | --- | --- | --- |")
    print(f"| whole table, {resamples} resamples | {whole:.1f} | – | – | – |")
    print(f"| cells, means, joins | {rest:.1f} | Polars, lazy | {peer_means:.1f} | {peer_means / rest:.2f} |")
    print(
        f"| intervals | {intervals:.1f} | scipy.stats.bootstrap (one pair, scaled) | {peer_intervals:.0f}"
        f" | {peer_intervals / intervals:.0f} |"
    )


if __name__ == "__main__":
    main()
