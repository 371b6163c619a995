"""The lake on an S3 API: moto's server on loopback."""

import itertools
import subprocess
import sys
import uuid
from pathlib import Path

import boto3
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from preceptor.lake.partitions import Partitions
from preceptor.lake.resume import complete
from preceptor.lake.schemas import REWARDS
from preceptor.lake.store import Lake, LakeError
from preceptor.lake.warehouse import Warehouse
from preceptor.shell.session import Session, SqlError
from preceptor.unchanged.tables import DoubtError, LiveTables
from tests.lake.samples import (
    STAGING,
    finish,
    partition,
    read_rows,
    rewards,
    run_together,
    work,
)

pytestmark = pytest.mark.slow
CHECKOUT = Path(__file__).parents[2]
SQL = CHECKOUT / "sql"


@pytest.fixture(scope="module")
def s3_endpoint():
    command = [sys.executable, "-m", "tests.lake.s3_server"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=CHECKOUT, text=True, **pipes) as server:
        yield server.stdout.readline().strip()
        server.stdin.close()


@pytest.fixture
def s3_lake(s3_endpoint, monkeypatch):
    settings = {"ENDPOINT_URL": s3_endpoint, "ALLOW_HTTP": "true", "REGION": "us-east-1"}
    for name, value in {**settings, "ACCESS_KEY_ID": "id", "SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    bucket = f"lake-{uuid.uuid4()}"
    boto3.client("s3", region_name="us-east-1", endpoint_url=s3_endpoint).create_bucket(Bucket=bucket)
    return Lake(f"s3://{bucket}/some/prefix", "test")


def test_s3_holds_published_rows_and_their_old_versions(s3_lake):
    name = "a'; drop table--"
    old = s3_lake.publish(REWARDS, rewards(4), partition(name), "f1")
    table = Partitions(s3_lake, REWARDS, old.version)
    assert_frame_equal(table.rows(partition(name), list(REWARDS.row_schema)), rewards(4))
    s3_lake.publish(REWARDS, rewards(3, "f2"), partition(name), "f2")
    assert_frame_equal(read_rows(s3_lake, place=partition(name)), rewards(3, "f2"))
    assert s3_lake.read(REWARDS, version=old.version).height == 4


def test_s3_work_resumes_where_it_stopped(s3_lake):
    def stop_after_ten(missing):
        yield from itertools.islice(finish(missing), 10)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        complete(s3_lake, work(), stop_after_ten)
    assert s3_lake.read(REWARDS).is_empty()
    outcome = complete(s3_lake, work(), finish)
    assert (outcome.computed, outcome.reused) == (10, 10)
    assert_frame_equal(read_rows(s3_lake), rewards())
    assert s3_lake.read(STAGING).is_empty()


@pytest.mark.parametrize("teachers", [("a", "b"), ("a", "a")], ids=["two partitions", "one partition"])
def test_two_writers_can_publish_to_s3_at_once(s3_lake, start, teachers):
    run_together(start(s3_lake.root, *teachers, count=6), s3_lake.study)
    for teacher in set(teachers):
        assert_frame_equal(read_rows(s3_lake, place=partition(teacher)), rewards(6))
    assert s3_lake.read(REWARDS).height == 6 * len(set(teachers))
    assert s3_lake.read(STAGING).is_empty()


def test_s3_tables_are_queried_at_the_attached_version(s3_lake, tmp_path):
    statement = "SELECT teacher, count(*) AS n FROM rewards WHERE response_id = 'r000' GROUP BY teacher"
    (tmp_path / "counts.sql").write_text(statement)
    s3_lake.publish(REWARDS, rewards(4), partition("007"), "f1")
    warehouse = Warehouse(s3_lake, tmp_path)
    warehouse.attach(REWARDS)
    s3_lake.publish(REWARDS, rewards(2), partition("007"), "f2")
    assert_frame_equal(warehouse.query("counts"), pl.DataFrame({"teacher": ["007"], "n": [1]}))


def test_s3_tables_can_be_queried_in_a_session(s3_lake):
    s3_lake.publish(REWARDS, rewards(4), partition("a'; drop table--"), "f1")
    with Session(s3_lake, None, SQL) as session:
        s3_lake.publish(REWARDS, rewards(2), partition("a'; drop table--"), "f2")
        (statement,) = session.statements("select teacher, count(*) from rewards where reward > 0 group by 1")
        assert list(session.stream(statement)[1]) == [("a'; drop table--", 4)]
        with pytest.raises(SqlError, match="reads the lake's tables only"):
            session.stream(session.statements(f"copy rewards to '{s3_lake.home}/a.csv'")[0])


def test_a_partition_on_s3_is_identified_by_its_objects(s3_lake, s3_endpoint):
    place, other = partition("a'; drop table--"), partition("b")
    s3_lake.publish(REWARDS, rewards(4), place, "f1")
    before = LiveTables(s3_lake).files(REWARDS, place)
    assert before
    s3_lake.publish(REWARDS, rewards(4), other, "f1")
    tables = LiveTables(s3_lake)
    assert tables.files(REWARDS, place) == before
    (theirs,) = tables.files(REWARDS, other)
    bucket, key = s3_lake.uri(REWARDS).removeprefix("s3://").split("/", 1)
    name = theirs.rpartition(" ")[0]
    client = boto3.client("s3", region_name="us-east-1", endpoint_url=s3_endpoint)
    client.delete_object(Bucket=bucket, Key=f"{key}/{name}")
    with pytest.raises(DoubtError, match="is gone"):
        LiveTables(s3_lake).files(REWARDS, other)
    assert LiveTables(s3_lake).files(REWARDS, place) == before


def test_a_missing_s3_bucket_is_named(s3_lake):
    with pytest.raises(LakeError, match="s3://nobody-made-this/test/rewards"):
        Lake("s3://nobody-made-this", "test").publish(REWARDS, rewards(), partition(), "f1")
