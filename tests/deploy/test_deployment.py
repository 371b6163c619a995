"""deploy/ as plain processes: Postgres, code server, daemon and webserver, with killed runs and servers."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import dagster as dg
import pytest
import yaml

from preceptor.lake.schemas import RAW_INSTRUCTIONS, RESPONSES
from preceptor.lake.store import Lake
from tests.deploy.postgres import PASSWORD, free_port, postgres, program
from tests.studies import QUESTIONS, document, write_study

pytestmark = [
    pytest.mark.story,
    pytest.mark.slow,
    pytest.mark.skipif(not program("initdb"), reason="Postgres is not installed: apt-get install postgresql"),
]
CHECKOUT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
LAUNCH = """mutation($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""


class Teacher(BaseHTTPRequestHandler):
    """An endpoint that lets requests wait until `answer` is set."""

    asked = threading.Semaphore(0)
    answer = threading.Event()

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        Teacher.asked.release()
        if not Teacher.answer.wait(900):
            return
        message = {"role": "assistant", "content": "Yes."}
        body = json.dumps({
            "id": "1", "object": "chat.completion", "created": 0, "model": "patient",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }).encode()  # fmt: skip
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(BrokenPipeError):  # the client was killed
            self.wfile.write(body)

    def log_message(self, *_):
        """Log nothing."""


class Deployment:
    """The processes of a deployment, each in its own process group and with its own log."""

    def __init__(self, folder: Path, environment: dict[str, str], port: int) -> None:
        self.folder, self.environment, self.port = folder, environment, port
        self.processes: dict[str, subprocess.Popen] = {}

    def start(self, name: str, *command: str | Path) -> None:
        with (self.folder / f"{name}.log").open("a") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=CHECKOUT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def start_code(self) -> None:
        port = self.environment["PRECEPTOR_CODE_PORT"]
        self.start("code", sys.executable, "-m", "jobs.code_server", "--port", port)

    def kill(self, name: str, spare: int) -> None:
        """Kill a process and its descendants except `spare`, which must end by itself."""
        process = self.processes[name]
        for pid in [process.pid, *descendants(process.pid)]:
            if pid != spare:
                os.kill(pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        for process in self.processes.values():
            below = descendants(process.pid)
            process.terminate()
            try:
                process.wait(timeout=120)
            except subprocess.TimeoutExpired:
                process.kill()
            for pid in filter(alive, below):
                os.kill(pid, signal.SIGKILL)

    def ask(self, query: str, **variables) -> dict:
        body = json.dumps({"query": query, "variables": variables}).encode()
        address = f"http://127.0.0.1:{self.port}/graphql"
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as reply:
            return json.load(reply)["data"]

    def stop_sensors(self) -> None:
        """Stop all sensors, so that only the runs of a test run."""
        repository = {"repositoryName": "__repository__", "repositoryLocationName": "preceptor"}
        query = """query($repository: RepositorySelector!) { sensorsOrError(repositorySelector: $repository) {
          ... on Sensors { results { sensorState { id } } } } }"""
        for sensor in self.ask(query, repository=repository)["sensorsOrError"]["results"]:
            stop = "mutation($id: String!) { stopSensor(id: $id) { __typename } }"
            stopped = self.ask(stop, id=sensor["sensorState"]["id"])["stopSensor"]
            assert stopped["__typename"] == "StopSensorMutationResult", stopped

    def launch(self, asset: str, partition: str | None = None) -> str:
        tags = [] if partition is None else [{"key": "dagster/partition", "value": partition}]
        selector = {
            "repositoryLocationName": "preceptor",
            "repositoryName": "__repository__",
            "pipelineName": "__ASSET_JOB",
            "assetSelection": [{"path": [asset]}],
        }
        params = {"selector": selector, "mode": "default", "executionMetadata": {"tags": tags}}
        found = self.ask(LAUNCH, params=params)["launchPipelineExecution"]
        assert found["__typename"] == "LaunchRunSuccess", found
        return found["run"]["runId"]

    def wait(self, seconds: float, what: Callable[[], object]) -> object:
        end = time.monotonic() + seconds
        while True:
            try:
                if found := what():
                    return found
            except OSError:
                pass
            logs = {name: (self.folder / f"{name}.log").read_text()[-500:] for name in self.processes}
            assert time.monotonic() < end, "\n".join(f"--- {name}\n{log}" for name, log in logs.items())
            time.sleep(0.5)


def descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it ended meanwhile
            for child in map(int, task.read_text().split()):
                found += [child, *descendants(child)]
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("deployed")
    write_study(folder)
    teacher = ThreadingHTTPServer(("127.0.0.1", 0), Teacher)
    threading.Thread(target=teacher.serve_forever, daemon=True).start()
    changed = document("deployed")
    endpoint = {"name": "patient", "engine": "openai", "model": "patient", "sampling": {"max_new_tokens": 8}}
    changed["teachers"] += [{**endpoint, "base_url": f"http://127.0.0.1:{teacher.server_port}/v1"}]
    (folder / "deployed.yaml").write_text(yaml.safe_dump(changed))
    yield folder / "deployed.yaml"
    Teacher.answer.set()
    teacher.shutdown()


@pytest.fixture(scope="module")
def deployment(study):
    folder = study.parent
    home = folder / "home"
    home.mkdir()
    settings = (CHECKOUT / "deploy" / "dagster.yaml").read_text()
    settings = settings.replace("run_end_seconds: 60", "run_end_seconds: 10")
    (home / "dagster.yaml").write_text(settings.replace("interval_seconds: 30", "interval_seconds: 5"))
    shutil.copy(CHECKOUT / "deploy" / "workspace.yaml", home)
    with postgres() as variables:
        environment = {
            **os.environ, **variables, "DAGSTER_HOME": str(home), "PRECEPTOR_STUDY": str(study),
            "PRECEPTOR_STORE": str(folder / "store"), "PRECEPTOR_CODE_HOST": "127.0.0.1",
            "PRECEPTOR_CODE_PORT": str(free_port()), "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        made = Deployment(folder, environment, free_port())
        try:
            workspace = ["--workspace", home / "workspace.yaml"]
            made.start_code()
            # Wait: it creates Dagster's tables, which fails if two processes do so at once.
            made.wait(600, lambda: "Started Dagster code proxy" in (folder / "code.log").read_text())
            address = ["--host", "127.0.0.1", "--port", str(made.port)]
            made.start("webserver", PROGRAMS / "dagster-webserver", *workspace, *address)
            made.wait(600, lambda: made.ask("{ assetNodes { id } }")["assetNodes"])
            made.stop_sensors()  # before the daemon starts to tick
            made.start("daemon", PROGRAMS / "dagster-daemon", "run", *workspace)
            yield made
        finally:
            made.stop()


@pytest.fixture(scope="module")
def instance(deployment):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in deployment.environment.items():
            patch.setenv(name, value)
        with dg.DagsterInstance.from_config(deployment.environment["DAGSTER_HOME"]) as instance:
            yield instance


def finished(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun | None:
    run = instance.get_run_by_id(run_id)
    return run if run is not None and run.is_finished else None


def retried(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRun | None:
    """The retry of a failed run, once it has succeeded."""
    runs = instance.get_runs(dg.RunsFilter(tags={"dagster/parent_run_id": run_id}))
    return next((run for run in runs if run.is_success), None)


@pytest.fixture(scope="module")
def instructions(deployment, instance) -> str:
    """The run that materialized the instructions, which all other runs need."""
    run_id = deployment.launch("raw_instructions")
    assert deployment.wait(600, lambda: finished(instance, run_id)).is_success
    return run_id


def test_a_run_goes_through_the_queue_and_postgres(deployment, instance, instructions, study):
    events = {record.dagster_event.event_type_value for record in instance.all_logs(instructions)
              if record.dagster_event}  # fmt: skip
    assert events >= {"PIPELINE_ENQUEUED", "ASSET_MATERIALIZATION"}
    lake = Lake(str(study.parent / "store"), "deployed")
    assert lake.read(RAW_INSTRUCTIONS).height == len(QUESTIONS)
    shown = deployment.ask("{ instance { info } }")["instance"]["info"]
    assert "max_retries: 2" in shown
    logs = "".join(path.read_text() for path in deployment.folder.glob("*.log"))
    assert PASSWORD not in shown + logs


def test_a_killed_run_fails_and_frees_its_slot_and_its_retry_succeeds(
    deployment, instance, instructions, study
):
    Teacher.answer.clear()
    run_id = deployment.launch("responses", "patient")
    assert Teacher.asked.acquire(timeout=900)
    assert instance.event_log_storage.get_concurrency_info("gpu").active_run_ids == {run_id}
    (worker,) = run_workers(instance, run_id)
    os.kill(worker, signal.SIGKILL)
    run = deployment.wait(600, lambda: finished(instance, run_id))
    assert run.status == dg.DagsterRunStatus.FAILURE
    Teacher.answer.set()
    assert deployment.wait(900, lambda: retried(instance, run_id))
    lake = Lake(str(study.parent / "store"), "deployed")
    rows = lake.read(RESPONSES, {"teacher": "patient"})
    assert rows.height == rows["instruction_id"].n_unique() == len(QUESTIONS)
    assert rows["error"].null_count() == len(QUESTIONS)


def test_runs_that_die_with_the_code_server_are_failed_when_it_restarts(
    deployment, instance, instructions, study
):
    Teacher.answer.clear()
    while Teacher.asked.acquire(blocking=False):
        pass
    lake = Lake(str(study.parent / "store"), "deployed")
    lake.delete(RESPONSES, {"teacher": "patient"})
    run_id = deployment.launch("responses", "patient")
    assert Teacher.asked.acquire(timeout=900)
    assert instance.event_log_storage.get_concurrency_info("gpu").active_run_ids == {run_id}
    (worker,) = run_workers(instance, run_id)
    deployment.kill("code", spare=worker)
    deployment.wait(300, lambda: not alive(worker))
    deployment.start_code()
    run = deployment.wait(600, lambda: finished(instance, run_id))
    assert run.status == dg.DagsterRunStatus.FAILURE
    Teacher.answer.set()
    assert deployment.wait(900, lambda: retried(instance, run_id))


def run_workers(instance: dg.DagsterInstance, run_id: str) -> list[int]:
    """The process ids of a run, from its events."""
    messages = [record.message for record in instance.all_logs(run_id)]
    return [
        int(m.split("(pid: ")[1].split(")")[0]) for m in messages if m.startswith("Started process for run")
    ]
