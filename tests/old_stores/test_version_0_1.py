"""A store that version 0.1 made: it opens, audits, and goes on without computing a row again."""

import json
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from preceptor.audit.checkpoint import audit_checkpoint
from preceptor.audit.evaluation import audit_evaluation
from preceptor.audit.finding import wrong
from preceptor.audit.ranking import audit_ranking
from preceptor.lake.schemas import (
    BASE_LOSSES,
    CAR_BETA_SWEEP,
    CAR_TABLE,
    RAW_INSTRUCTIONS,
    RESPONSES,
    REWARDS,
    STUDENT_RESPONSES,
    TABLES,
    TUNED_CHECKPOINT,
    Table,
)
from preceptor.lake.store import Lake
from resources.warehouse import SQL

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
EXPECTED = json.loads((HERE / "version_0_1.json").read_text())


def unpacked(folder: Path) -> Path:
    with tarfile.open(HERE / "version_0_1.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The store as version 0.1 left it."""
    return unpacked(tmp_path_factory.mktemp("old"))


@pytest.fixture(scope="module")
def rerun(tmp_path_factory) -> Path:
    """The store in another place, after today's code ran the study on it; the CAR table was taken out."""
    folder = unpacked(tmp_path_factory.mktemp("moved") / "another place")
    old_lake(folder).delete(CAR_TABLE, {})
    ran = command(folder, "run_study", str(folder / "old.yaml"))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder


def command(folder: Path, job: str, *options: str) -> subprocess.CompletedProcess:
    environment = {
        **os.environ,
        "PRECEPTOR_STORE": str(folder / "store"),
        "DAGSTER_HOME": str(folder / "dagster"),
        "OMP_NUM_THREADS": "1",
    }
    arguments = [sys.executable, "-m", f"jobs.{job}", *options]
    return subprocess.run(
        arguments, cwd=CHECKOUT, env=environment, text=True, capture_output=True, timeout=900
    )


def old_lake(folder: Path) -> Lake:
    return Lake(str(folder / "store"), "old")


def stored(lake: Lake, table: Table) -> list[list[Any]]:
    """All rows in the columns that version 0.1 had, in the order of their keys."""
    rows = lake.read(table).sort([*table.partition_by, *table.key])
    return json.loads(json.dumps([list(row.values()) for row in rows.select(old_columns(table)).to_dicts()]))


def old_columns(table: Table) -> list[str]:
    return list(EXPECTED[table.name]["columns"])


@pytest.mark.parametrize("name", EXPECTED)
def test_every_table_opens_with_todays_schema_and_holds_the_same_rows(folder, name):
    rows = old_lake(folder).read(TABLES[name])
    types = dict(zip(rows.columns, map(str, rows.dtypes), strict=True))
    assert types.items() >= EXPECTED[name]["columns"].items()
    assert stored(old_lake(folder), TABLES[name]) == EXPECTED[name]["rows"]
    added = rows.drop(old_columns(TABLES[name]))
    assert all(column.null_count() == rows.height for column in added)


def test_a_column_that_a_later_release_adds_is_null_in_old_rows(folder):
    later = replace(REWARDS, columns=REWARDS.columns | {"confidence": (pl.Float64, "of the reward model")})
    lake = old_lake(folder)
    one = lake.read(later, {"reward_model": "scores", "teacher": "brief"})
    assert one.height == 26 and one["confidence"].null_count() == 26
    assert one.drop("confidence").equals(lake.read(REWARDS, {"reward_model": "scores", "teacher": "brief"}))


def test_sql_sees_every_table(folder):
    query = " UNION ALL ".join(f"SELECT '{name}' AS name, count(*) AS n FROM {name}" for name in EXPECTED)
    asked = command(folder, "sql", str(folder / "old.yaml"), "--command", query, "--format", "json")
    assert asked.returncode == 0, asked.stderr
    found = {row["name"]: row["n"] for row in json.loads(asked.stdout)}
    assert found == {name: len(table["rows"]) for name, table in EXPECTED.items()}


def test_audits_find_nothing_wrong(folder):
    lake = old_lake(folder)
    audits = (
        audit_ranking(lake, SQL, None, True),
        audit_checkpoint(lake, SQL, "on-chatty"),
        audit_evaluation(lake, SQL, "on-chatty", "sums"),
    )
    for audit in audits:
        assert len(audit.findings) > 3
        assert not wrong(audit.findings)


def test_running_the_study_again_computes_no_row_again(rerun):
    lake = old_lake(rerun)
    for table in (RAW_INSTRUCTIONS, RESPONSES, REWARDS, BASE_LOSSES, STUDENT_RESPONSES):
        assert lake.version(table) == EXPECTED[table.name]["version"], table.name
        assert stored(lake, table) == EXPECTED[table.name]["rows"], table.name


def test_running_the_study_again_tunes_no_model_again(rerun):
    (tuned,) = old_lake(rerun).read(TUNED_CHECKPOINT).to_dicts()
    (before,) = EXPECTED["tuned_checkpoint"]["rows"]
    assert tuned["fingerprint"] == before[-1]
    weights = list((rerun / "store/old/checkpoints").rglob("model.safetensors"))
    assert weights == [Path(tuned["uri"]) / "model.safetensors"]


@pytest.mark.parametrize("table", [CAR_TABLE, CAR_BETA_SWEEP], ids=lambda table: table.name)
def test_the_ranking_made_again_is_the_same_to_the_last_digit(rerun, table):
    """All but the last bit of CAR's interval ends: version 0.1 rounded the resamples in another order."""
    ends = ["car_low", "car_high"]
    # The fingerprint covers the versions of the tables read.
    found, expected = (
        pl.DataFrame(rows, schema=old_columns(table), orient="row", infer_schema_length=None).drop(
            "fingerprint"
        )
        for rows in (stored(old_lake(rerun), table), EXPECTED[table.name]["rows"])
    )
    assert_frame_equal(found.drop(ends, strict=False), expected.drop(ends, strict=False), check_exact=True)
    assert_frame_equal(found, expected, rel_tol=1e-15)
