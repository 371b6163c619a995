"""A realistic, invented study: eight ranked teachers, one without rewards, two bases, students' scores.

Rows go straight into a warehouse, drawn with a seed. `python -m tests.report.lakes FOLDER` writes pages.
"""

import math
import random
import sys
from pathlib import Path

import polars as pl

from preceptor.current import current_fingerprints
from preceptor.lake.resume import put as put_rows
from preceptor.lake.schemas import (
    BASE_LOSSES,
    CAR_BETA_SWEEP,
    CAR_TABLE,
    EVAL_DIFFERENCES,
    EVAL_RESULTS,
    EVAL_SCORES,
    RAW_INSTRUCTIONS,
    RESPONSES,
    REWARDS,
    SELECTED_SUBSET,
    SUITABILITY,
    TUNED_CHECKPOINT,
)
from preceptor.lake.store import Lake
from preceptor.lake.warehouse import Warehouse
from preceptor.report.differences import differences
from preceptor.report.page import ReportFacts, build_report
from preceptor.report.publish import REPORT_TABLES
from preceptor.report.seeds import NAME as SEED_DIFFERENCES
from preceptor.report.seeds import SCHEMA, seed_differences
from preceptor.report.tested_values import tested_values
from preceptor.study.schema import Study
from preceptor.suitability.table import beta_sweep, build_car_table, build_suitability

SQL = Path(__file__).parents[2] / "sql"
# name → (share of right answers, words around an answer, loss under the first base, under the second)
TEACHERS = {
    "gemma2-large": (0.88, 14, 1.10, 1.45),
    "gemma2-small": (0.71, 12, 1.05, 1.30),
    "llama-large": (0.86, 3, 1.60, 1.05),
    "llama-small": (0.66, 3, 1.55, 0.95),
    "phi3-large": (0.90, 30, 2.40, 2.10),
    "phi3-small": (0.69, 26, 2.25, 2.00),
    "qwen3-large-step-by-step-2507": (0.93, 45, 1.75, 1.70),
    "qwen3-small": (0.74, 40, 1.70, 1.60),
}
SILENT = "mute-preview"  # has responses but no rewards
BASES = ("notes-base", "diary-base")
TASKS = ("add", "copy", "count", "initials", "larger", "next", "nth", "opposite", "pick", "remove", "reverse")
COUNT = 300
REVISION = "0123456789abcdef0123456789abcdef01234567"
FACTS = ReportFacts(
    packages={"python": "3.11.4", "preceptor": "0.1.0", "torch": "2.13.0", "trl": "1.16.0"},
    lake_versions={"responses": 17, "car_table": 2, "eval_scores": 35},
    fingerprint="0f1e2d3c4b5a6978",
    made="2030-01-01 12:00 UTC",
)


def small_study(teachers=("a", "b"), bases=BASES, runs=True, description="") -> Study:
    """A study of recorded teachers, each tuned on for each base, measured by two benchmarks."""
    drawn = [{"kind": "random", "name": "random-300", "rows": COUNT}]
    single = [{"kind": "teacher", "name": f"of-{name}", "teacher": name} for name in teachers]
    return Study.model_validate(
        {
            "name": "demo",
            "description": description,
            "instructions": {"sources": [{"name": "tasks", "dataset": "d"}]},
            "teachers": [{"name": name, "engine": "recorded", "dataset": "d"} for name in teachers],
            "bases": [{"name": n, "model": f"tiny/{n}", "revision": REVISION} for n in bases],
            "reward_models": [{"name": "grader", "engine": "recorded", "dataset": "d"}],
            "recipes": [*single, *drawn] if runs else [],
            "tunings": [{"name": "full"}] if runs else [],
            "runs": [
                {"name": f"{base.split('-')[0]}-{recipe['name'].removeprefix('of-')}", "base": base}
                | {"recipe": recipe["name"], "tuning": "full", "seed": seed}
                for base in bases
                for seed, recipe in enumerate([*single, *drawn])
            ]
            if runs
            else [],
            "evaluations": [
                {"name": "tasks-exam", "kind": "checkers", "dataset": "d"},
                {
                    "name": "open-ended",
                    "kind": "pairwise",
                    "dataset": "d",
                    "judge": {
                        "name": "judge",
                        "engine": "sequence_classification",
                        "model": "tiny/judge",
                        "revision": REVISION,
                    },
                },
            ]
            if runs
            else [],
        }
    )


def empty_warehouse(folder) -> Warehouse:
    """Every table, without rows."""
    warehouse = Warehouse(Lake(str(folder), "demo"), SQL)
    for table in (*REPORT_TABLES, EVAL_DIFFERENCES):
        warehouse.register(table.name, table.stored.to_frame())
    warehouse.register(SEED_DIFFERENCES, SCHEMA.to_frame())
    return warehouse


def compare_runs(warehouse, study) -> pl.DataFrame:
    """Computes the differences as `publish_report` does."""
    tested = tested_values(warehouse, study)
    warehouse.register(EVAL_DIFFERENCES.name, differences(study, tested))
    warehouse.register(SEED_DIFFERENCES, seed_differences(study, tested))
    return warehouse.rows(EVAL_DIFFERENCES.name)


def stored(folder, tables) -> Warehouse:
    """A lake with these tables and rows, one fingerprint per partition, and a warehouse that reads it."""
    warehouse, named = Warehouse(Lake(str(folder), "demo"), SQL), []
    for table, rows in tables:
        frame = pl.DataFrame(rows, schema=table.schema)
        for key, part in frame.group_by(*table.partition_by, "fingerprint", maintain_order=True):
            partition = dict(zip(table.partition_by, key, strict=False))
            put_rows(warehouse.lake, table, partition, key[-1] or "made", part)
        named.append(table)
    warehouse.attach(*named)
    return warehouse


def put(warehouse, table, rows) -> None:
    """Replaces a table's rows; missing columns are null."""
    warehouse.register(table.name, table.with_derived(pl.DataFrame(rows, schema=table.schema)))


def rows_of_responses(study, dice):
    """Instructions, responses, rewards and losses as dictionaries, under today's fingerprints."""
    current = current_fingerprints(study)
    instructions, responses, rewards, losses = [], [], [], []
    for number in range(COUNT):
        id, answer = f"i{number:03}", str(dice.randint(10, 99))
        instructions.append(
            {
                "instruction_id": id,
                "turns": [f"What is {number} and more?"],
                "answer": answer,
                "check": "number",
            }
        )
        for name in [*TEACHERS, SILENT]:
            skill, words, *nats = TEACHERS.get(name, (0.5, 9, 1.4, 1.4))
            right = dice.random() < skill
            padding = "well " * max(0, round(dice.gauss(words, words / 5)))
            text = f"{padding}The answer is {answer if right else int(answer) + 1}."
            broken = "out of memory" if dice.random() < 0.01 else None
            row = {"response_id": f"{id}-{name}", "instruction_id": id, "sample": 0, "teacher": name}
            turns = [] if broken else [text]
            mark = {"fingerprint": current.responses[name], "error": broken}
            responses.append({**row, "turns": turns, "response_tokens": len(text.split()), **mark})
            reward = dice.gauss(0.62 if right else 0.48, 0.12) + 0.001 * words
            scored = broken is None and name != SILENT
            why = f"no score in scores.csv:{number}" if name == SILENT else broken
            mark = {"fingerprint": current.rewards[name], "reward_model": "grader"}
            rewards.append(
                {**row, "reward": reward if scored else None, "error": None if scored else why, **mark}
            )
            for base, mean in zip(BASES, nats, strict=True):
                tokens = len(text.split())
                mark = {"fingerprint": current.losses[base], "base": base}
                sums = {"tokens": tokens, "nll_sum": tokens * max(0.1, dice.gauss(mean, 0.3))}
                losses.append(
                    {**row, **mark, "response_tokens": tokens, "error": broken} | ({} if broken else sums)
                )
    return instructions, responses, rewards, losses


SHARE = {"unit": "share", "category": ""}


def wilson(successes, n):
    z = 1.96
    middle = (successes + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(successes * (n - successes) / n + z * z / 4)
    return middle - half, middle + half


def exam(run, skill, dice):
    """300 checked items of one run, and their score."""
    items = []
    for number in range(COUNT):
        task = TASKS[number % len(TASKS)]
        ease = min(0.98, max(0.02, skill + 0.25 * math.sin(1.0 + TASKS.index(task) * 2.3)))
        failed = "prompt too long for the context of 128 tokens" if dice.random() < 0.005 else None
        outcome = None if failed else float(dice.random() < ease)
        place = {"run": run, "benchmark": "tasks-exam", "item_id": f"e{number}", "sample": 0, "task": task}
        items.append({**place, "outcome": outcome, "error": failed})
    right = [item["outcome"] for item in items if item["error"] is None]
    low, high = wilson(sum(right), len(right))
    score = {"metric": "accuracy", "value": sum(right) / len(right), "low": low, "high": high}
    score |= {"method": "share of right answers; Wilson's interval", "n": len(right), **SHARE}
    account = {"expected": COUNT, "judged": len(right), "failed": COUNT - len(right), "filtered": 0}
    return items, {"run": run, "benchmark": "tasks-exam", **account, **score}


def duel(run, skill, dice):
    """Two metrics of one run against a reference."""
    value = min(0.97, max(0.03, 0.15 + 0.6 * skill + dice.gauss(0, 0.03)))
    account = {"expected": 200, "judged": 200, "failed": 0, "filtered": 0}
    shared = {"run": run, "benchmark": "open-ended", "n": 200, "reference": "llama-large", **account, **SHARE}
    shared["judge"] = "judge (tiny/judge@0123456)"
    controlled = "length-controlled by alpaca-eval's logistic regression, without instruction difficulty"
    plain = "mean probability of winning; 1.96 standard errors"
    return [
        {**shared, "metric": "lc_win_rate", "value": value, "low": value - 0.05, "high": value + 0.05}
        | {"method": controlled},
        {**shared, "metric": "win_rate", "value": value + 0.02, "low": value - 0.04, "high": value + 0.08}
        | {"method": plain},
    ]


def checkpoint(run, skill, number):
    steps = list(range(5, 255, 5))
    losses = [
        0.35 + (1 - skill) + 2.2 * math.exp(-step / 40) + 0.03 * math.sin(step + number) for step in steps
    ]
    made = {"run": run.name, "base": run.base, "recipe": run.recipe, "tuning": run.tuning, "seed": run.seed}
    counts = {"rows": 297, "truncated_rows": number % 3, "tokens": 7210 + 31 * number, "steps": 250}
    return {**made, **counts, "final_loss": losses[-1], "loss_steps": steps, "losses": losses}


def student_skill(run, study):
    """A student's skill: the teacher's skill minus a cost for its loss; average for random rows."""
    recipe = study.recipe(run.recipe)
    if recipe.kind != "teacher" or recipe.teacher == SILENT:
        return 0.42
    skill, _, *nats = TEACHERS[recipe.teacher]
    return skill * 1.25 - 0.28 * nats[BASES.index(run.base)]


def fill_runs(warehouse, study, dice):
    items, scores, checkpoints = [], [], []
    for number, run in enumerate(study.runs):
        if run.name == "diary-random-300":
            continue  # not tuned yet
        skill = student_skill(run, study)
        checkpoints.append(checkpoint(run, skill, number))
        if run.name == f"notes-{SILENT}":
            continue  # not measured yet
        some, score = exam(run.name, skill, dice)
        items += some
        scores += [score, *duel(run.name, skill, dice)]
    put(warehouse, EVAL_RESULTS, items)
    put(warehouse, EVAL_SCORES, scores)
    compare_runs(warehouse, study)
    put(warehouse, TUNED_CHECKPOINT, checkpoints)
    chosen = [
        {"recipe": f"of-{name}", "teacher": name, "response_id": f"{n}-{name}"}
        for name in TEACHERS
        for n in range(COUNT)
    ]
    put(warehouse, SELECTED_SUBSET, chosen)


def full_study() -> Study:
    words = "Eight small teachers, two small bases: which answers should each base be tuned on?"
    return small_study((*TEACHERS, SILENT), description=words)


def full_warehouse(folder, study, tuned=True) -> Warehouse:
    """A warehouse with every table."""
    dice = random.Random(7)
    warehouse = empty_warehouse(folder)
    rows = rows_of_responses(study, dice)
    for table, some in zip((RAW_INSTRUCTIONS, RESPONSES, REWARDS, BASE_LOSSES), rows, strict=True):
        put(warehouse, table, some)
    # The ranking reads the lake itself and leaves frames in its own session.
    ranking = stored(folder, zip((RAW_INSTRUCTIONS, RESPONSES, REWARDS, BASE_LOSSES), rows, strict=True))
    current = current_fingerprints(study)
    table = build_car_table(ranking, study, current)
    put(ranking, CAR_TABLE, table.to_dicts())
    put(warehouse, CAR_TABLE, table.to_dicts())
    put(warehouse, CAR_BETA_SWEEP, beta_sweep(ranking, study, current).to_dicts())
    put(warehouse, SUITABILITY, build_suitability(ranking, study, current).to_dicts())
    if tuned and study.runs:
        fill_runs(warehouse, study, dice)
    return warehouse


def write_pages(folder: Path) -> None:
    """The report of the whole study, of a study without runs, and of an empty lake."""
    study = full_study()
    ranking_only = small_study((*TEACHERS, SILENT), runs=False)
    pages = {
        "full": (study, full_warehouse(folder / "store", study)),
        "ranking": (ranking_only, full_warehouse(folder / "store", ranking_only)),
        "nothing": (study, empty_warehouse(folder / "store")),
    }
    for name, (asked, warehouse) in pages.items():
        (folder / f"{name}.html").write_text(build_report(asked, warehouse, FACTS), encoding="utf-8")


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
