"""The CAR table of 2 M responses, 2 M rewards and 10 M losses, against Polars and SciPy.

    python benchmarks/car_table.py [--instructions 100000] [--teachers 20] [--bases 5] [--messy]

Means: our dense arrays against the same join and means as a lazy Polars query over the same files. Intervals:
our bootstrap of all teachers and bases against scipy.stats.bootstrap of one teacher for one base, times their
number. Before timing, the whole table is computed once with few resamples: hashes are checked once per
process, and the files are then in memory for all sides.

With --messy, the study has failed and missing rows, two answers for a tenth of the instructions, rows in a
different order than their responses, one partition each of losses and rewards with older settings, and losses
of responses that no longer exist.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import polars as pl
from scipy import stats

from preceptor.current import ROW_TABLES, Current
from preceptor.lake.schemas import BASE_LOSSES, RAW_INSTRUCTIONS, RESPONSES, REWARDS, Table
from preceptor.lake.store import Lake
from preceptor.lake.warehouse import Warehouse
from preceptor.study.schema import Study
from preceptor.suitability.cells import read_cells
from preceptor.suitability.table import build_car_table
from preceptor.text import digest

SQL = Path(__file__).parent.parent / "sql"
SCIPY_RESAMPLES = 100


def study_of(teachers: int, bases: int) -> Study:
    """A study whose files exist only by name."""
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


def fill(lake: Lake, instructions: int, study: Study, messy: bool = False) -> None:
    """Write random rows of every table."""
    generator = np.random.default_rng(0)
    ids = [digest(str(i)) for i in range(instructions)]
    asked = {"instruction_id": ids, "prompt_hash": ids, "source": "made"}
    lake.publish(RAW_INSTRUCTIONS, padded(RAW_INSTRUCTIONS, pl.DataFrame(asked)), {}, "benchmark")
    for number, teacher in enumerate(study.teachers):
        answers = pl.DataFrame({"instruction_id": ids}).with_columns(sample=0, error=pl.lit(None, pl.String))
        if messy:
            answers = spoilt(answers, number)
        of = pl.Series([digest(teacher.name, *map(str, row)) for row in answers.rows()])
        answers = answers.with_columns(response_id=of, prompt_hash="instruction_id")
        place = {"teacher": teacher.name}
        now = answers.sample(fraction=0.99, seed=number) if messy else answers
        lake.publish(RESPONSES, padded(RESPONSES, now), place, "benchmark")
        scores = answers.with_columns(reward=generator.normal(5 + number / 20, 2, answers.height))
        mark = "older" if messy and number == 1 else "benchmark"
        rewards = lost(scores, "reward", number) if messy else scores
        lake.publish(REWARDS, padded(REWARDS, rewards), {**place, "reward_model": "reward"}, mark)
        for base_number, base in enumerate(study.bases):
            tokens = generator.integers(50, 500, answers.height)
            nll = tokens * generator.gamma(20, 0.06, answers.height)
            losses = answers.with_columns(tokens=tokens, response_tokens=tokens + tokens % 7, nll_sum=nll)
            mark = "older" if messy and number == base_number == 2 else "benchmark"
            scored = lost(losses, "nll_sum", base_number) if messy and number % 2 else losses
            lake.publish(BASE_LOSSES, padded(BASE_LOSSES, scored), {**place, "base": base.name}, mark)


def spoilt(answers: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Answer a tenth of the instructions twice, fail a hundredth of the answers, and shuffle."""
    twice = answers.sample(fraction=0.1, seed=seed).with_columns(sample=1)
    failed = pl.int_range(pl.len()) % 100 == seed
    mixed = pl.concat([answers, twice]).sample(fraction=1, shuffle=True, seed=seed)
    return mixed.with_columns(error=pl.when(failed).then(pl.lit("the server was down")))


def lost(rows: pl.DataFrame, column: str, seed: int) -> pl.DataFrame:
    """Drop a hundredth of the rows, fail another hundredth, and shuffle."""
    rest = rows.sample(fraction=0.99, shuffle=True, seed=seed)
    failed = pl.col("error").is_not_null() | (pl.int_range(pl.len()) % 100 == seed)
    error = pl.when(failed).then(pl.lit("failed")).alias("error")
    return rest.with_columns(error, pl.when(~failed).then(pl.col(column)).alias(column))


def padded(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows, with nulls in the table's other columns."""
    missing = [pl.lit(None).alias(name) for name in table.row_schema if name not in rows.columns]
    return table.conform(rows.with_columns(missing).select(list(table.row_schema)))


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def attached(lake: Lake) -> Warehouse:
    """A new session over the lake."""
    warehouse = Warehouse(lake, SQL)
    warehouse.attach(*ROW_TABLES)
    return warehouse


def polars_means(lake: Lake) -> pl.DataFrame:
    """Peer: the CAR table's means as one lazy Polars query, if all rows are current and common."""

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
    """Peer: one teacher's CAR for one base, by scipy.stats.bootstrap."""
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
    parser.add_argument("--messy", action="store_true")
    options = parser.parse_args()
    study = study_of(options.teachers, options.bases)
    teachers = {teacher.name: "benchmark" for teacher in study.teachers}
    current = Current(teachers, teachers, {base.name: "benchmark" for base in study.bases})
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(folder, study.name)
        arguments = lake, options.instructions, study, options.messy
        # In its own process, so that its memory does not count.
        filling = get_context("spawn").Process(target=fill, args=arguments)
        filling.start()
        filling.join()
        few = study.model_copy(update={"car": study.car.model_copy(update={"resamples": 40})})
        build_car_table(attached(lake), few, current)
        whole = timed(lambda: build_car_table(attached(lake), study, current))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        cells = timed(lambda: read_cells(attached(lake), study, current))
        peer_cells = timed(lambda: polars_means(lake))
        one = timed(lambda: scipy_interval(options.instructions))
    resamples = study.car.resamples
    scale = options.teachers * options.bases * resamples / SCIPY_RESAMPLES
    intervals = whole[0] - cells[0], whole[1] - cells[1]
    print("| part | Preceptor, wall (CPU) s | peer | peer, wall (CPU) s | peer / Preceptor, CPU |")
    print("| --- | --- | --- | --- | --- |")
    print(f"| whole table, {resamples} resamples, {peak:.2f} GiB | {words(whole)} | – | – | – |")
    peer = f"Polars, lazy | {words(peer_cells)} | {peer_cells[1] / cells[1]:.2f}"
    print(f"| cells | {words(cells)} | {'– | – | –' if options.messy else peer} |")
    scaled = one[0] * scale, one[1] * scale
    peer = f"scipy.stats.bootstrap, one pair scaled | {words(scaled)} | {scaled[1] / intervals[1]:.0f}"
    print(f"| intervals and ranks | {words(intervals)} | {peer} |")


def words(seconds: tuple[float, float]) -> str:
    """Wall and CPU seconds."""
    return f"{seconds[0]:.1f} ({seconds[1]:.1f})"


if __name__ == "__main__":
    main()
