"""`make study` end to end: every engine, a real lake, a real Dagster instance."""

import os
import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
import yaml

from preceptor.lake import schemas
from preceptor.lake.ledger import entry_name
from preceptor.lake.store import Lake
from tests.studies import document, lines, one_base, write_study

CHECKOUT = Path(__file__).parents[2]
TABLES = [
    schemas.RAW_INSTRUCTIONS,
    schemas.RESPONSES,
    schemas.REWARDS,
    schemas.BASE_LOSSES,
    schemas.CAR_TABLE,
    schemas.CAR_BETA_SWEEP,
    schemas.SELECTED_SUBSET,
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    write_study(folder)
    return folder


@pytest.fixture(scope="module")
def first(folder) -> subprocess.CompletedProcess:
    """The small study, run once for all tests."""
    result = run(folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return result


def run(folder: Path, study: str = "small.yaml", *options: str) -> subprocess.CompletedProcess:
    environment = {
        **os.environ,
        "PRECEPTOR_STORE": str(folder / "store"),
        "DAGSTER_HOME": str(folder / "dagster" / study),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "jobs.run_study", str(folder / study), *options]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, text=True, capture_output=True, timeout=900)


def versions(folder: Path) -> dict[str, int | None]:
    lake = Lake(str(folder / "store"), "small")
    return {table.name: lake.version(table) for table in TABLES}


def test_a_study_runs_and_running_it_again_recomputes_nothing(folder, first):
    before = versions(folder)
    assert None not in before.values()
    guard = folder / "store/small/rewards" / entry_name(1)
    kept = guard.read_bytes()
    guard.unlink()
    second = run(folder)
    guard.write_bytes(kept)
    assert second.returncode == 0
    before_steps, steps = second.stdout.split("[ 1/")
    assert str(guard) in before_steps
    assert f"! hashes of the store, 1 ×, first: {guard}" in steps
    assert second.stdout.count("up to date") == len(re.findall(r" rows? \(", first.stdout))
    assert versions(folder) == before
    # The printed ranking must not depend on whether it was computed in this run.
    assert first.stdout.split("base-a: CAR")[1][:600] == second.stdout.split("base-a: CAR")[1][:600]


def test_check_reports_no_problem_and_runs_nothing(folder):
    (folder / "checked.yaml").write_text((folder / "small.yaml").read_text())
    checked = run(folder, "checked.yaml", "--check")
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.startswith("small: no problem found") and checked.stdout.count("\n") == 1
    assert not (folder / "dagster" / "checked.yaml").exists()


def test_the_table_holds_every_teacher_for_every_base(folder, first):
    table = Lake(str(folder / "store"), "small").read(schemas.CAR_TABLE)
    assert table.height == 6
    assert table["missing"].null_count() == 6
    assert table["instructions"].unique().to_list() == [12]
    recomputed = table["mean_reward"] / (1 + 3 * table["mean_loss"])
    assert (recomputed - table["car"]).abs().max() < 1e-12
    for _, rows in table.group_by("base"):
        assert rows.sort("rank")["car"].is_sorted(descending=True)


@pytest.mark.slow
def test_a_new_teacher_computes_only_itself(folder, first):
    study = document("small")
    lines(folder / "new.jsonl", [{"instruction": "Who wrote Hamlet?", "response": "Shakespeare."}])
    study["teachers"].append({"name": "new", "engine": "recorded", "path": "new.jsonl"})
    study["car"]["rows"] = "available"
    (folder / "more.yaml").write_text(yaml.safe_dump(study))
    result = run(folder, "more.yaml")
    assert result.returncode == 0, result.stdout + result.stderr
    computed = [
        line for line in result.stdout.splitlines() if line.startswith("[") and "up to date" not in line
    ]
    derived = ("car_table", "car_beta_sweep", "suitability", "selected_subset", "study_report")
    assert all(" new:" in line or any(name in line for name in derived) for line in computed), computed
    assert "completeness" in result.stdout


@pytest.mark.slow
def test_a_broken_teacher_is_named_and_the_others_continue(folder):
    study = one_base("broken")
    study["teachers"][0]["format"] = "fastchat"
    study["teachers"][2]["prompt_format"] = "own"
    (folder / "broken.yaml").write_text(yaml.safe_dump(study))
    result = run(folder, "broken.yaml")
    assert result.returncode == 1
    assert "FAILED responses brief: teacher 'brief'" in result.stdout
    assert "base_losses base-a × brief: skipped, since responses brief failed" in result.stdout
    assert "car_table.completeness" not in result.stdout  # not reported twice
    table = Lake(str(folder / "store"), "broken").read(schemas.CAR_TABLE)
    missing = table.filter(pl.col("missing").is_not_null())
    assert missing.select("teacher", "missing").unique().rows() == [("brief", "no responses")]
    assert table["rank"].count() == 2


@pytest.mark.slow
def test_a_teacher_that_mostly_fails_is_blocked_by_its_check(folder):
    study = one_base("failing")
    turns = [["one", "two"] if i % 3 == 0 else ["one"] for i in range(12)]
    rows = [{"question_id": str(i), "choices": [{"turns": t}]} for i, t in enumerate(turns)]
    lines(folder / "failing.jsonl", rows)
    study["teachers"][1]["path"] = "failing.jsonl"
    study["teachers"].pop()
    (folder / "failing.yaml").write_text(yaml.safe_dump(study))
    result = run(folder, "failing.yaml")
    assert result.returncode == 1
    assert "responses.failure_rate" in result.stdout
    said = "FAILED responses chatty: check failure_rate did not pass: 4 of 12 rows failed (33.3%)"
    assert said in result.stdout
    assert "base_losses base-a × chatty: skipped, since responses chatty failed" in result.stdout
    lake = Lake(str(folder / "store"), "failing")
    assert lake.read(schemas.RESPONSES, {"teacher": "chatty"}).height == 12
    assert set(lake.read(schemas.CAR_TABLE).filter(pl.col("missing").is_not_null())["teacher"]) == {"chatty"}


@pytest.mark.slow
def test_negative_rewards_are_an_error_that_names_the_setting(folder):
    study = one_base("negative")
    study["car"] = {
        "reward_model": "scores",
        "reward_map": {"kind": "affine", "shift": -100},
        "resamples": 200,
    }
    study["teachers"].pop()
    (folder / "negative.yaml").write_text(yaml.safe_dump(study))
    result = run(folder, "negative.yaml")
    assert result.returncode == 1
    assert "2 teachers" in result.stdout and "'car.reward_map'" in result.stdout
    assert Lake(str(folder / "store"), "negative").version(schemas.CAR_TABLE) is None


def test_an_invalid_study_is_refused_before_anything_runs(folder):
    study = document("wrong")
    study["teachers"][0]["name"] = "../../etc"
    (folder / "wrong.yaml").write_text(yaml.safe_dump(study))
    result = run(folder, "wrong.yaml")
    assert result.returncode == 1
    assert "teachers[0].name: '../../etc' is " in result.stderr
    assert not (folder / "store" / "wrong").exists()


@pytest.mark.slow
def test_a_bad_teacher_file_is_named_and_the_rest_runs(folder):
    watched = folder / "watched"
    watched.mkdir()
    (watched / "bad.yaml").write_text("name: late\nengine: recorded\npath: nowhere.jsonl\n")
    brief = {"name": "brief", "engine": "recorded", "path": "../brief.jsonl"}
    (watched / "brief.yaml").write_text(yaml.safe_dump(brief))
    study = one_base("watching") | {"teachers": [], "teacher_files": "watched"}
    study["reward_models"] = study["reward_models"][:1]
    study["reward_models"][0]["teachers"] = {}
    study["car"] = {"resamples": 200}
    (folder / "watching.yaml").write_text(yaml.safe_dump(study))
    result = run(folder, "watching.yaml")
    assert result.returncode == 1
    assert f"{watched / 'bad.yaml'}:3: path: 'nowhere.jsonl' is " in result.stdout.split("[1/")[0]
    assert "FAILED left out: " in result.stdout
    table = Lake(str(folder / "store"), "watching").read(schemas.CAR_TABLE)
    assert table.select("teacher", "rank").unique().rows() == [("brief", 1)]
    with dg.DagsterInstance.from_config(str(folder / "dagster" / "watching.yaml")) as instance:
        made = instance.get_latest_materialization_event(dg.AssetKey("car_table")).asset_materialization
    assert "bad.yaml" in made.metadata["missing_teachers"].value


def test_check_fails_if_a_teacher_file_is_left_out(folder):
    (folder / "late").mkdir()
    (folder / "late" / "bad.yaml").write_text("name: late\nengine: recorded\npath: nowhere.jsonl\n")
    (folder / "late.yaml").write_text(yaml.safe_dump(one_base("late") | {"teacher_files": "late"}))
    checked = run(folder, "late.yaml", "--check")
    assert checked.returncode == 1
    assert "bad.yaml:3: path: 'nowhere.jsonl' is " in checked.stdout
    assert "no problem found" not in checked.stdout


def test_a_study_without_teachers_fails_with_the_reason(folder):
    (folder / "nobody").mkdir()
    study = one_base("waiting") | {"teachers": [], "teacher_files": "nobody"}
    study["reward_models"][0]["teachers"] = {}
    (folder / "waiting.yaml").write_text(yaml.safe_dump(study))
    result = run(folder, "waiting.yaml")
    assert result.returncode == 1
    assert "there is no teacher yet" in result.stderr
