"""The real daemon: only a new teacher is computed, it is ranked, and a removed teacher keeps its rows."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
import yaml

from preceptor.lake.schemas import CAR_TABLE, RESPONSES
from preceptor.lake.store import Lake

pytestmark = pytest.mark.slow
CHECKOUT = Path(__file__).parents[2]
PATIENCE = 900  # seconds: three ticks are about a minute, and the machine may be busy
BASE = "notes-base"
ROWS = ("raw_instructions", "responses", "rewards", "base_losses")


def teacher(name: str) -> dict:
    model = f"./demo/teachers/{name}"
    return {
        "name": name,
        "engine": "transformers",
        "model": model,
        "sampling": {"max_new_tokens": 16},
    }


class Served:
    """A copy of the demo's ranking, its store and its server."""

    def __init__(self, folder: Path):
        self.folder, self.file = folder, folder / "demo.yaml"
        shutil.copytree(CHECKOUT / "studies" / "demo", folder / "demo")
        (folder / "teachers").mkdir()
        (folder / "home").mkdir()
        settings = (CHECKOUT / "jobs" / "dagster.yaml").read_text()
        assert "default_limit: 1" in settings  # two: a teacher that never ends holds one
        (folder / "home" / "dagster.yaml").write_text(
            settings.replace("default_limit: 1", "default_limit: 2")
        )
        self.lake = Lake(str(folder / "store"), "demo")
        self.environment = {
            **os.environ,
            "PRECEPTOR_STUDY": str(self.file),
            "PRECEPTOR_STORE": str(folder / "store"),
            "DAGSTER_HOME": str(folder / "home"),
            "OMP_NUM_THREADS": "1",
            "OPENAI_API_KEY": "unused",
        }
        self.log = folder / "log.txt"

    def write(self, *teachers: dict) -> None:
        study = yaml.safe_load((CHECKOUT / "studies" / "demo.yaml").read_text())
        for key in ("recipes", "tunings", "runs", "evaluations", "averages"):
            del study[key]
        study["bases"] = [base for base in study["bases"] if base["name"] == BASE]
        study["instructions"]["sources"][0]["limit"] = 20
        study["car"]["resamples"] = 200
        study |= {"teachers": list(teachers), "teacher_files": "teachers"}
        incoming = self.folder / "incoming"
        incoming.write_text(yaml.safe_dump(study))
        incoming.rename(self.file)

    def start(self, *command: str) -> subprocess.Popen:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", *command], cwd=CHECKOUT, env=self.environment, stdout=log, stderr=log
            )

    def made(self) -> Counter:
        """How often each partition of each table of rows was materialized."""
        with dg.DagsterInstance.from_config(str(self.folder / "home")) as instance:
            found = {name: instance.fetch_materializations(dg.AssetKey(name), 1000).records for name in ROWS}
        return Counter((name, record.partition_key) for name in ROWS for record in found[name])

    def runs(self, *statuses: dg.DagsterRunStatus) -> list[dg.DagsterRun]:
        with dg.DagsterInstance.from_config(str(self.folder / "home")) as instance:
            return instance.get_runs(dg.RunsFilter(statuses=list(statuses)))

    def ranked(self) -> set[str]:
        return set(self.lake.read(CAR_TABLE).filter(pl.col("rank").is_not_null())["teacher"])

    def missing(self) -> dict[str, str]:
        rows = self.lake.read(CAR_TABLE).filter(pl.col("missing").is_not_null())
        return dict(rows.select("teacher", "missing").iter_rows())

    def told(self, sensor: str = "study_members") -> str:
        """The skip reasons and errors of all of the sensor's ticks."""
        with dg.DagsterInstance.from_config(str(self.folder / "home")) as instance:
            states = [state for state in instance.all_instigator_state() if state.instigator_name == sensor]
            ticks = [t for s in states for t in instance.get_ticks(s.instigator_origin_id, s.selector_id)]
        return "\n".join(f"{tick.skip_reason} {tick.error}" for tick in ticks)

    def teachers(self) -> set[str]:
        """The teachers that have a partition."""
        with dg.DagsterInstance.from_config(str(self.folder / "home")) as instance:
            return set(instance.get_dynamic_partitions("demo/teachers"))

    def wait(self, *, ranked: set[str]) -> None:
        self.until(lambda: self.ranked() == ranked, f"the ranking is {ranked}")

    def until(self, reached, wish: str) -> None:
        end = time.monotonic() + PATIENCE
        while not reached():
            assert time.monotonic() < end, f"not within {PATIENCE} s: {wish}\n{self.log.read_text()[-6000:]}"
            time.sleep(1)

    def processes(self) -> list[str]:
        """The command lines of all processes that have this home in their environment."""
        home, found = f"DAGSTER_HOME={self.folder / 'home'}".encode(), []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if home in (process / "environ").read_bytes().split(b"\0"):
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
        return found


@pytest.fixture
def silent():
    """The address of an endpoint that takes every request and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"


@pytest.fixture
def served(tmp_path):
    served = Served(tmp_path)
    yield served
    assert served.processes() == []


def all_of(name: str) -> Counter:
    scores = [("rewards", f"reward-model|{name}"), ("base_losses", f"{BASE}|{name}")]
    return Counter([("responses", name), *scores])


def test_a_new_teacher_runs_alone_and_is_ranked_and_a_removed_one_keeps_its_rows(served, silent):
    old = [teacher("llama-small"), teacher("qwen3-small")]
    served.write(*old)
    assert served.start("jobs.run_study", str(served.file)).wait(PATIENCE) == 0, served.log.read_text()
    before = served.made()
    assert before == Counter({("raw_instructions", None): 1}) + all_of("llama-small") + all_of("qwen3-small")
    server = served.start("jobs.serve", "--port", "0")
    try:
        served.until(lambda: "joined or left" in served.told(), "the sensor reads the study")
        joins_are_computed_alone(served, old, silent, before)
        another_server_is_refused(served)
        leaves_keep_rows(served, old)
    finally:
        server.send_signal(signal.SIGTERM)
        status = server.wait(PATIENCE)
    assert status == 0, served.log.read_text()[-3000:]
    assert "Traceback" not in served.log.read_text()
    assert served.runs(dg.DagsterRunStatus.STARTED) == []


def joins_are_computed_alone(served, old, silent, before):
    endless = {"name": "endless", "engine": "openai", "model": "m", "base_url": silent}
    served.write(*old, teacher("gemma2-small"), endless)
    whole = yaml.safe_dump(teacher("phi3-small") | {"model": "../demo/teachers/phi3-small"})
    (served.folder / "teachers" / "phi3.yaml").write_text(whole[:-30] + "{")
    # A tick that requests runs has no skip reason and only logs the file; a later tick counts it.
    served.until(lambda: "left out" in served.told(), "a tick of the sensor reports the half-written file")
    served.until(lambda: served.made()["responses", "gemma2-small"], "the new teacher answers")
    (served.folder / "teachers" / "phi3.yaml").write_text(whole)
    served.wait(ranked={"llama-small", "qwen3-small", "gemma2-small", "phi3-small"})
    assert served.missing() == {"endless": "no responses"}
    assert served.made() == before + all_of("gemma2-small") + all_of("phi3-small")


def another_server_is_refused(served):
    assert served.start("jobs.serve", "--port", "0").wait(PATIENCE) == 1
    assert f"{served.folder / 'home'} is already served" in served.log.read_text()


def leaves_keep_rows(served, old):
    rows = served.lake.read(RESPONSES, {"teacher": "qwen3-small"}).height
    counted = served.made()
    served.write(old[0])
    stay = {"llama-small", "phi3-small"}
    served.wait(ranked=stay)  # a run may rank before the sensor looks: it reads the study's file too
    served.until(lambda: served.teachers() == stay, f"the partitions are {stay}")
    assert rows == served.lake.read(RESPONSES, {"teacher": "qwen3-small"}).height == 20
    assert served.made() == counted
