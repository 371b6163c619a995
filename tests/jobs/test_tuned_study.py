"""A study with runs and benchmarks end to end, in two processes: tuned, evaluated, reported."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
import yaml

from preceptor.current.results import keep_current_results
from preceptor.lake.schemas import (
    CAR_TABLE,
    EVAL_DIFFERENCES,
    EVAL_RESULTS,
    EVAL_SCORES,
    JUDGMENTS,
    PREDICTED_ACTUAL,
    SELECTED_SUBSET,
    STUDENT_RESPONSES,
    TUNED_CHECKPOINT,
)
from preceptor.lake.store import Lake
from preceptor.lake.warehouse import Warehouse
from preceptor.report.publish import REPORT_TABLES
from preceptor.study.load import load_study
from tests.studies import one_base, with_runs, write_benchmarks, write_study

MADE = tuple(table for table in REPORT_TABLES if table != JUDGMENTS)  # this study asks no judge
TABLES = (*MADE, STUDENT_RESPONSES, EVAL_DIFFERENCES, PREDICTED_ACTUAL)
CHECKOUT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow  # a minute; `make demo` runs a similar graph


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tuned")
    write_study(folder)
    write_benchmarks(folder)
    (folder / "tuned.yaml").write_text(yaml.safe_dump(with_runs(one_base("tuned")), sort_keys=False))
    return folder


def command(folder: Path, *options: str) -> dict:
    environment = {
        **os.environ,
        "PRECEPTOR_STORE": str(folder / "store"),
        "DAGSTER_HOME": str(folder / "dagster"),
        "OMP_NUM_THREADS": "1",
    }
    arguments = [sys.executable, "-m", "jobs.run_study", str(folder / "tuned.yaml"), *options]
    return {"args": arguments, "cwd": CHECKOUT, "env": environment, "text": True}


@pytest.fixture(scope="module")
def first(folder) -> subprocess.CompletedProcess:
    return subprocess.run(**command(folder, "--processes", "2"), capture_output=True, timeout=900)


def lake(folder: Path) -> Lake:
    return Lake(str(folder / "store"), "tuned")


def test_the_whole_graph_is_materialized(first, folder):
    assert first.returncode == 0, first.stdout + first.stderr
    assert all(lake(folder).version(table) is not None for table in TABLES)
    assert "tuned_checkpoint a-brief: 1 row (" in first.stdout
    said = re.findall(
        r"eval_results sums × \S+: 6 rows; accuracy [\d.]+ % \[[\d.]+ %, [\d.]+ %\], n = 6 ", first.stdout
    )
    assert len(said) == 2, first.stdout
    assert "base_results base-a × sums: 6 rows; accuracy" in first.stdout
    assert "Spearman" in first.stdout
    assert "report.html" in first.stdout


def test_a_second_run_computes_nothing(first, folder):
    before = {table.name: lake(folder).version(table) for table in TABLES}
    page = (folder / "store" / "tuned" / "report.html").read_bytes()
    second = subprocess.run(**command(folder), capture_output=True, timeout=900)
    assert second.returncode == 0, second.stdout + second.stderr
    steps = [line for line in second.stdout.splitlines() if line.startswith("[")]
    assert len(steps) == first.stdout.count("\n[")
    assert all("up to date" in line for line in steps), steps
    assert {table.name: lake(folder).version(table) for table in TABLES} == before
    assert (folder / "store" / "tuned" / "report.html").read_bytes() == page


def test_a_checkpoint_lists_its_rows(first, folder):
    tuned = lake(folder).read(TUNED_CHECKPOINT, {"run": "a-chatty"}).row(0, named=True)
    manifest = json.loads((Path(tuned["uri"]) / "manifest.json").read_text())
    assert (Path(tuned["uri"]) / "model.safetensors").is_file()
    assert json.loads(tuned["manifest"]) == manifest
    version = manifest["origins"]["versions"]["selected_subset"]
    chosen = lake(folder).read(SELECTED_SUBSET, {"recipe": "of-chatty"}, version=version)
    assert chosen.height == tuned["rows"] == 12
    assert set(chosen["teacher"]) == {"chatty"}


def test_every_score_has_items_an_interval_and_a_judge(first, folder):
    scores, items = lake(folder).read(EVAL_SCORES), lake(folder).read(EVAL_RESULTS)
    assert set(scores["run"]) == set(items["run"]) == {"a-brief", "a-chatty", "untuned-base-a"}
    assert scores.select("run", "benchmark").n_unique() == 3 * 2
    assert items.height == 3 * 2 * 6
    assert scores["n"].unique().to_list() == [6]
    known = scores.filter(pl.col("value").is_not_null())
    assert (known["low"] <= known["value"]).all() and (known["value"] <= known["high"]).all()
    duels = scores.filter(benchmark="duels")
    assert duels["judge"].str.starts_with("classifier (sha256:").all()
    assert set(scores.filter(benchmark="sums")["judge"]) == {None}


def test_every_run_has_a_prediction_and_an_actual_result(first, folder):
    rows = lake(folder).read(PREDICTED_ACTUAL)
    assert set(rows["teacher"]) == {"brief", "chatty"}
    assert set(rows.filter("main")["metric"]) == {"accuracy", "win_rate"}
    assert rows["car"].null_count() == 0


def test_results_of_other_settings_do_not_count(first, folder):
    study = load_study(folder / "tuned.yaml")
    (quick,) = study.tunings
    slower = study.model_copy(update={"tunings": (quick.model_copy(update={"learning_rate": 2e-3}),)})
    for today, models in ((study, 2), (slower, 0)):
        warehouse = Warehouse(lake(folder), CHECKOUT / "sql")
        warehouse.attach_existing(*REPORT_TABLES)
        keep_current_results(warehouse, today)
        assert warehouse.rows("tuned_checkpoint").height == models
        evaluated = models + 1  # the untuned base, which tuning settings do not affect
        assert warehouse.rows("eval_scores").height == 4 * evaluated
        assert warehouse.rows("eval_results").height == 12 * evaluated


def test_the_same_seeds_give_the_same_tables_in_another_store(first, folder, tmp_path):
    again = command(folder, "--processes", "2")
    again["env"] |= {"PRECEPTOR_STORE": str(tmp_path / "store"), "DAGSTER_HOME": str(tmp_path / "dagster")}
    assert subprocess.run(**again, capture_output=True, timeout=900).returncode == 0
    other = Lake(str(tmp_path / "store"), "tuned")
    for table in (CAR_TABLE, STUDENT_RESPONSES, EVAL_SCORES, PREDICTED_ACTUAL):
        keys = [*table.partition_by, *table.key]
        one, two = (store.read(table).sort(keys).drop("fingerprint") for store in (lake(folder), other))
        assert one.equals(two), table.name


def test_a_killed_run_leaves_no_worker_behind_and_resumes(first, folder, tmp_path):
    folder = shutil.copytree(folder, tmp_path / "killed")  # leave the study of the other tests unchanged
    study = with_runs(one_base("tuned"))
    for number in range(6):
        study["runs"].append({**study["runs"][0], "name": f"more-{number}", "seed": number + 1})
    (folder / "tuned.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen(**command(folder, "--processes", "2"), stdout=log, stderr=log)
    deadline = time.monotonic() + 900
    while "tuned_checkpoint more-" not in (tmp_path / "log").read_text():
        assert time.monotonic() < deadline and process.poll() is None, (tmp_path / "log").read_text()
        time.sleep(0.2)
    children = f"/proc/{process.pid}/task/{process.pid}/children"
    workers = Path(children).read_text().split()
    assert len(workers) >= 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    again = subprocess.run(**command(folder, "--processes", "2"), capture_output=True, timeout=900)
    assert again.returncode == 0, again.stdout + again.stderr
    assert lake(folder).read(TUNED_CHECKPOINT).height == 8
    assert not list((folder / "store").rglob(".incoming-*"))
