"""The UI's server returns the study's graph; a killed run resumes."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from preceptor.lake.schemas import BASE_LOSSES, CAR_TABLE, RESPONSES, REWARDS, SELECTED_SUBSET
from preceptor.lake.store import Lake
from tests.jobs.test_run_study import run
from tests.studies import write_study

pytestmark = pytest.mark.slow
CHECKOUT = Path(__file__).parents[2]
QUERY = """{ assetNodes { assetKey { path } description kinds
  partitionKeysByDimension { name partitionKeys } } }"""


def ask(port: int) -> dict:
    body = json.dumps({"query": QUERY}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return {node["assetKey"]["path"][0]: node for node in json.load(answer)["data"]["assetNodes"]}


def test_the_ui_serves_the_studys_graph_with_its_partitions(tmp_path):
    study = write_study(tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "PRECEPTOR_STUDY": str(study), "DAGSTER_HOME": str(tmp_path / "home")}
    server = subprocess.Popen(
        [sys.executable, "-m", "jobs.serve", "--port", str(port)],
        cwd=CHECKOUT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        nodes = {}
        for _ in range(600):
            try:
                nodes = ask(port)
                break
            except OSError:
                assert server.poll() is None, server.stdout.read()
                time.sleep(1)
        assert set(nodes) >= {"raw_instructions", "responses", "rewards", "base_losses", "car_table"}
        dimensions = nodes["base_losses"]["partitionKeysByDimension"]
        assert {d["name"]: d["partitionKeys"] for d in dimensions} == {
            "base": ["base-a", "base-b"],
            "teacher": ["brief", "chatty", "tiny"],
        }
        assert nodes["car_table"]["kinds"] == ["deltalake", "duckdb", "sql"]
    finally:
        server.send_signal(signal.SIGTERM)
        log = server.communicate(timeout=600)[0]
    assert "superseded" not in log
    assert "Traceback" not in log


def test_a_study_killed_at_random_moments_ends_with_the_same_table(tmp_path):
    (tmp_path / "calm").mkdir()
    (tmp_path / "killed").mkdir()
    for name in ("calm", "killed"):
        write_study(tmp_path / name)
    assert run(tmp_path / "calm").returncode == 0
    moments = random.Random(0)
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-m", "jobs.run_study", str(tmp_path / "killed" / "small.yaml")],
            cwd=CHECKOUT,
            env={
                **os.environ,
                "PRECEPTOR_STORE": str(tmp_path / "killed" / "store"),
                "DAGSTER_HOME": str(tmp_path / "killed" / "dagster" / "small.yaml"),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(moments.uniform(4, 12))
        process.kill()
        process.wait()
    result = run(tmp_path / "killed")
    assert result.returncode == 0, result.stdout + result.stderr
    calm, killed = (Lake(str(tmp_path / name / "store"), "small") for name in ("calm", "killed"))
    for table in (RESPONSES, REWARDS, BASE_LOSSES, CAR_TABLE, SELECTED_SUBSET):
        keys = [*table.partition_by, *table.key]
        columns = [*table.partition_by, *table.row_schema]
        assert_frame_equal(
            calm.read(table, columns=columns).sort(keys), killed.read(table, columns=columns).sort(keys)
        )
