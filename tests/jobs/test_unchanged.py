"""A study run again: exactly the necessary steps run, and the tables equal those of a new run."""

import os
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
import yaml

from jobs.home import open_instance
from jobs.receipts import live_tables
from jobs.steps import Step, steps
from jobs.unchanged import RENEWED, WITH_FRESHNESS
from preceptor.lake.schemas import BASE_LOSSES, RESPONSES, TABLES, TUNED_CHECKPOINT
from preceptor.lake.store import Lake
from preceptor.selection.recipes import selection_reads
from preceptor.study.load import read_study
from preceptor.unchanged.dependence import STEPS, dependence
from preceptor.unchanged.receipt import read_receipt, write_receipt
from tests.assets.served import code_location
from tests.jobs.watched import Made
from tests.studies import one_base, with_runs, write_benchmarks, write_study

ROWS = {"raw_instructions", "responses", "rewards", "base_losses", "tuned_checkpoint", "eval_results"}
RANKED = {"car_table", "study_report"}
RESAMPLED = RANKED | {"car_beta_sweep", "suitability"}  # assets that read the rows of all teachers
OF_BRIEF = {"selected_subset best-for-a", "selected_subset of-brief"}  # the first chooses from all
OF_CHATTY = {"selected_subset best-for-a", "selected_subset of-chatty"}
pytestmark = [pytest.mark.slow, pytest.mark.story]  # half a minute


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    folder = tmp_path_factory.mktemp("again")
    write_study(folder)
    write_benchmarks(folder)
    study = with_runs(one_base("small"))
    study["teachers"].pop()  # a generating one
    study["reward_models"].pop()
    study["recipes"].insert(0, {"kind": "best_teacher", "name": "best-for-a", "base": "base-a"})
    study["runs"].pop()
    study["evaluations"].pop()
    study["car"] = {"resamples": 200, "beta": 3.0, "sweep": [1.0, 3.0]}
    (folder / "small.yaml").write_text(yaml.safe_dump(study))
    scores = folder / "scores.csv"
    scores.write_text(scores.read_text().replace("3,brief,5", "3,brief,five"))  # a row that fails
    return Made(folder)


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


def test_all_runs_once_and_nothing_the_second_time(made, said, capsys):
    first = made.run(capsys)
    assert made.to_run() == set()
    ran = made.ran
    second = made.run(capsys)
    assert made.ran == []
    lines = [line for line in second.splitlines() if line.startswith("[")]
    assert len(lines) == len(ran) == 17
    assert all(", up to date" in line for line in lines)
    assert "rewards scores × brief: 12 rows, up to date, 1 failed, mostly: score 'five'" in second
    assert "eval_results sums × a-brief: 6 rows, up to date; accuracy" in second
    warnings = [line for line in first.splitlines() if line.startswith("! ")]
    assert "! rewards.failure_rate, 1 ×" in "\n".join(warnings)
    assert [line for line in second.splitlines() if line.startswith("! ")] == warnings
    assert ranking(first) == ranking(second)
    said.append(first)


def ranking(said: str) -> str:
    return re.split(r"\nsmall in ", said.split("base-a: CAR")[1])[0]


def test_every_file_and_table_that_a_step_opens_is_in_its_state(made):
    """The list of inputs is written by hand, so each step is watched while it runs."""
    with made.environment():
        study = read_study(str(made.file)).study
        tables = live_tables(study)
    assert {step.asset for step in steps(study)} == set(STEPS)
    for step in steps(study):
        names = dict(zip(("teacher", "recipe", "run"), 3 * [step.key], strict=True))
        key = dict(step.key.keys_by_dimension) if isinstance(step.key, dg.MultiPartitionKey) else names
        key = {
            name: key[name] for name in key if step.asset != "raw_instructions" and name in dimension(step)
        }
        hashed: set[str] = set()
        with pytest.MonkeyPatch.context() as patch:
            import preceptor.fingerprint as fingerprints

            hash_of = fingerprints.file_hash
            patch.setattr(
                fingerprints, "file_hash", lambda path, h=hash_of, s=hashed: (s.add(str(path)), h(path))[1]
            )
            found = dependence(study, step.asset, key, tables)
        places = {table.name for table, _ in (*found.reads, *found.writes, *found.shared)}
        if step.asset == "selected_subset":  # it joins tables that its recipe does not select by
            places |= {table.name for table in selection_reads(study, key["recipe"])}
        staged = {f"_staging/{table.name}" for table, _ in (*found.writes, *found.shared)}
        assert made.tables[str(step)] <= places | staged, step
        assert made.files[str(step)] <= hashed, step


def dimension(step: Step) -> set[str]:
    if isinstance(step.key, dg.MultiPartitionKey):
        return set(step.key.keys_by_dimension)
    return {"responses": {"teacher"}, "selected_subset": {"recipe"}, "tuned_checkpoint": {"run"}}.get(
        step.asset, set()
    )


def edit_in_place(path: Path, old: bytes, new: bytes) -> None:
    """Replace bytes but keep size, inode and modification time."""
    assert len(old) == len(new)
    before = path.stat()
    with path.open("r+b") as file:
        content = file.read()
        assert old in content
        file.seek(0)
        file.write(content.replace(old, new))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_mtime_ns, path.stat().st_size) == (before.st_mtime_ns, before.st_size)


def of_teacher(name: str) -> set[str]:
    return {f"responses {name}", f"rewards scores × {name}", f"base_losses base-a × {name}"}


SUMS = {"eval_results sums × a-brief", "base_results base-a × sums"}
TUNED = {"tuned_checkpoint a-brief", *SUMS}
EVERY_LOSS = {"base_losses base-a × brief", "base_losses base-a × chatty"}
EVERY_REWARD = {"rewards scores × brief", "rewards scores × chatty"}
EVERY_RESPONSE = {"responses brief", "responses chatty"}


@pytest.mark.parametrize(
    "path,value,expected",
    [
        ("car.beta", 2.0, RESAMPLED),
        ("car.reward_map", {"kind": "sigmoid"}, RESAMPLED | EVERY_REWARD),
        ("car.sweep", [1.0, 2.0, 3.0], {"car_beta_sweep", "study_report"}),
        (
            "limits",
            {"failed_rows": 0.2},
            {"raw_instructions", *SUMS, *EVERY_RESPONSE} | {*EVERY_REWARD, *EVERY_LOSS, *RANKED},
        ),
        ("tunings.0.epochs", 3, {"tuned_checkpoint a-brief", "study_report"}),
        ("runs.0.seed", 7, {"tuned_checkpoint a-brief", "study_report"}),
        ("recipes.2.rows", 5, {"selected_subset of-chatty", "study_report"}),
        ("teachers.0.join", "id", {"responses brief", *OF_BRIEF, *RESAMPLED}),
        ("evaluations.0.ignore", ["x"], {*SUMS, "study_report"}),
        ("bases.0.max_length", 90, {*EVERY_LOSS, *RESAMPLED, *TUNED}),
        ("description", "Another", {"study_report"}),
    ],
)
def test_a_changed_setting_runs_the_steps_that_depend_on_it(made, path, value, expected):
    before = made.file.read_text()
    made.change(path, value)
    assert made.to_run() == expected
    made.file.write_text(before)
    assert made.to_run() == set()


@pytest.mark.parametrize(
    "name,old,new,expected",
    [
        ("brief.jsonl", b"yes", b"no!", {"responses brief", *OF_BRIEF, *RESAMPLED}),
        ("scores.csv", b"brief,6", b"brief,8", {"rewards scores × brief", *RESAMPLED}),
        # Each teacher reports the row that it cannot read.
        ("scores.csv", b"0,stranger,9", b",0stranger,9", EVERY_REWARD),
        ("questions.jsonl", b"Hamlet", b"Othell", {"raw_instructions"}),
        ("sums.jsonl", b"plus", b"PLUS", {*SUMS, "study_report"}),
        (
            "base-a/config.json",
            b'"use_cache": true',
            b'"use_cache": null',
            {*EVERY_LOSS, *RESAMPLED, "tuned_checkpoint a-brief", "base_results base-a × sums"},
        ),
    ],
)
def test_a_file_edited_in_place_is_noticed_despite_its_modification_time(made, name, old, new, expected):
    edit_in_place(made.folder / name, old, new)
    assert made.to_run() == expected
    edit_in_place(made.folder / name, new, old)
    assert made.to_run() == set()


def test_a_touched_model_counts_as_unchanged(made):
    for file in (made.folder / "base-a").iterdir():
        os.utime(file)
    assert made.to_run() == set()


def test_new_code_or_packages_run_all_steps_and_a_new_version_runs_its_own(made, monkeypatch):
    every = {str(step) for step in steps(read_study(str(made.file)).study)}
    monkeypatch.setattr("preceptor.unchanged.state.made_by", lambda: "other")
    assert made.to_run() == every
    monkeypatch.undo()
    monkeypatch.setattr("preceptor.losses.score.VERSION", 1000)
    assert made.to_run() == {*EVERY_LOSS, *RESAMPLED}


def test_a_step_without_a_materialization_in_dagster_runs(made):
    shutil.move(made.folder / "dagster", made.folder / "elsewhere")
    (made.folder / "dagster").mkdir()
    shutil.copytree(made.folder / "elsewhere" / "receipts", made.folder / "dagster" / "receipts")
    assert len(made.to_run()) == 17
    shutil.rmtree(made.folder / "dagster")
    shutil.move(made.folder / "elsewhere", made.folder / "dagster")
    assert made.to_run() == set()


def test_a_step_that_failed_in_dagster_since_its_receipt_runs_again(made):
    """For example a run from the UI failed; the next `make study` completes it."""
    teachers = dg.DynamicPartitionsDefinition(name="small/teachers")
    for asset, partitions, key in (("responses", teachers, "brief"), ("car_table", None, None)):
        for fails in (True, False):

            @dg.asset(name=asset, partitions_def=partitions)
            def stand_in() -> None:
                assert not fails  # noqa: B023 - called at once

            with made.environment():
                instance = open_instance(read_study(str(made.file)).study)
                dg.materialize([stand_in], instance=instance, partition_key=key, raise_on_error=False)
            assert made.to_run() == ({f"{asset} {key or ''}".strip()} if fails else set())


def test_a_week_old_receipt_does_not_count_for_assets_with_a_freshness_policy(made):
    every = [path for asset in STEPS for path in made.receipts(asset)]
    kept = {path: path.read_bytes() for path in every}
    for shift in (-RENEWED - timedelta(minutes=1), timedelta(hours=1)):
        for path in every:
            receipt = read_receipt(path)
            write_receipt(path, replace(receipt, time=datetime.now(UTC) + shift))
        late = {step for step in made.to_run() if step.split()[0] in WITH_FRESHNESS}
        assert late == {*EVERY_REWARD, *RANKED}
        # A receipt from the future counts for no step.
        assert (made.to_run() == late) == (shift < timedelta())
    for path, content in kept.items():
        path.write_bytes(content)
    every[0].write_bytes(b"{" + kept[every[0]])
    assert len(made.to_run()) == 1
    every[0].write_bytes(kept[every[0]])
    assert made.to_run() == set()


def test_receipts_expire_for_exactly_the_assets_with_a_freshness_policy(made):
    with made.environment(), code_location(made.file) as defs:
        policies = {
            key.to_user_string(): spec.freshness_policy
            for asset in defs.assets
            for key, spec in asset.specs_by_key.items()
            if spec.freshness_policy is not None
        }
    assert policies.keys() == {*WITH_FRESHNESS}
    assert all(policy.warn_window.to_timedelta() > RENEWED for policy in policies.values())


def test_retry_failed_runs_the_steps_with_failed_rows(made):
    assert made.to_run(retry_failed=True) == {"rewards scores × brief", *SUMS}


def test_unfinished_chunks_a_lost_model_and_a_changed_report_run_their_steps(made):
    lake = made.lake
    rows = lake.read(BASE_LOSSES, {"base": "base-a", "teacher": "brief"})
    staged = replace(BASE_LOSSES, name=f"_staging/{BASE_LOSSES.name}")
    place = {"base": "base-a", "teacher": "brief"}
    part = rows.head(2).select(list(BASE_LOSSES.row_schema))
    lake.append(staged, part, place, rows["fingerprint"][0], "killed")
    assert made.to_run() == {"base_losses base-a × brief"}
    lake.delete(staged, place)
    manifest = Path(lake.read(TUNED_CHECKPOINT)["uri"][0]) / "manifest.json"
    manifest.rename(made.folder / "manifest.json")
    assert made.to_run() == {"tuned_checkpoint a-brief"}
    (made.folder / "manifest.json").rename(manifest)
    page = Path(lake.home) / "report.html"
    text = page.read_text()
    page.write_text(text.replace("brief", "BRIEF", 1))
    assert made.to_run() == {"study_report"}
    page.write_text(text)
    assert made.to_run() == set()


def test_a_missing_or_touched_data_file_runs_its_steps(made):
    lake = made.lake
    (file,) = Path(lake.uri(BASE_LOSSES)).glob("base=base-a/teacher=brief/*.parquet")
    expected = {"base_losses base-a × brief", *RESAMPLED}
    file.rename(made.folder / "away")
    assert made.to_run() == expected
    (made.folder / "away").rename(file)  # renaming changes ctime, which no program can set
    assert made.to_run() == expected


def test_a_changed_or_restored_table_runs_its_steps(made):
    readers = {*RESAMPLED, *OF_CHATTY, "tuned_checkpoint a-brief"}
    made.lake.delete(RESPONSES, {"teacher": "chatty"})
    lost = of_teacher("chatty") | readers | {"base_losses base-a × brief"}  # of the test before
    assert made.to_run() == lost
    made.lake.open(RESPONSES).restore(made.lake.version(RESPONSES) - 1)  # by another program
    assert made.to_run() >= lost | of_teacher("brief")


def test_after_all_changes_the_tables_equal_those_of_a_new_run(made, capsys):
    edit_in_place(made.folder / "brief.jsonl", b"yes", b"no!")
    made.change("car.beta", 2.0)
    made.change("limits", {"failed_rows": 0.2})
    said = made.run(capsys)
    assert "rewards.failure_rate" not in said  # within its limit now
    assert made.to_run() == set()
    there = {name: rows_of(made.lake, name) for name in TABLES}
    fresh = replace(made, store="other-store", home="other-home")
    fresh_said = fresh.run(capsys)
    assert ranking(fresh_said) == ranking(said)
    for name, rows in there.items():
        assert rows.equals(rows_of(fresh.lake, name)), name


def rows_of(lake: Lake, name: str) -> pl.DataFrame:
    """A table's rows without columns that depend on the store or the time."""
    rows = lake.read(TABLES[name])
    made_anew = {"uri", "manifest", *([] if name in ROWS else ["fingerprint"])}  # of versions
    rows = rows.drop([column for column in rows.columns if column in made_anew])
    return rows.sort([c for c, kind in rows.schema.items() if not kind.is_nested()])
