"""The audit as a command and as a job."""

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from jobs.audit_job import audit
from preceptor.lake.store import Lake
from resources.lake import LakeResource
from tests.audit.lakes import rank, tune, write_small

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("audited")
    study = write_small(folder)
    lake = Lake(str(folder / "store"), study.name)
    rank(study, lake)
    tune(study, lake)
    return folder


def ask(folder: Path, *question: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PRECEPTOR_STORE": str(folder / "store")}
    command = [sys.executable, "-m", "jobs.audit", str(folder / "small.yaml"), *question]
    return subprocess.run(command, cwd=CHECKOUT, env=environment, text=True, capture_output=True)


def execute(folder: Path, **config: str) -> dg.ExecuteInProcessResult:
    return audit.execute_in_process(
        run_config={"ops": {"audit_run": {"config": config}}},
        resources={"lake": LakeResource(store=str(folder / "store"), study="small")},
        raise_on_error=False,
    )


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ([], "ranking: car_table version 1"),
        (["checkpoint", "a-brief"], "a-brief"),
        (["evaluation", "a-brief", "sums"], "checkpoint"),
        (["checkpoints", "--teacher", "chatty"], "a-chatty"),
        (["checkpoints", "--terms", "chatty-terms", "--teacher", "brief"], "no checkpoint"),
        (["why", "brief"], "first time"),
    ],
)
def test_the_command_answers_each_question(folder, question, said):
    result = ask(folder, *question)
    assert result.returncode == 0, result.stderr
    assert said in result.stdout


def test_the_command_exits_with_2_for_questions_that_it_cannot_answer(folder):
    for question, facts in {
        ("checkpoint", "nobody"): ["run 'nobody'"],
        ("checkpoints", "--teacher", "breif"): ["teacher 'breif'", "brief, chatty"],
        ("checkpoints", "--terms", "none"): ["brief-terms, chatty-terms"],
        ("rankings",): ["CAR table"],
        ("why", "nobody"): ["teacher 'nobody'", "brief, chatty"],
    }.items():
        result = ask(folder, *question)
        assert result.returncode == 2
        assert all(fact in result.stderr for fact in facts), result.stderr
        assert "Traceback" not in result.stderr


def test_the_job_logs_the_findings_and_fails_if_something_does_not_match(folder, tmp_path):
    file = tmp_path / "audit.json"
    sound = execute(folder, run="a-brief", benchmark="sums", export=str(file))
    assert sound.success
    assert json.loads(file.read_text())["verified"] is True
    assert execute(folder).success
    manifest = next((folder / "store/small/checkpoints/a-brief").glob("*/config.json"))
    text = manifest.read_text()
    try:
        manifest.write_text(text + " ")
        failed = execute(folder, run="a-brief")
        assert not failed.success
        message = failed.get_step_failure_events()[0].step_failure_data.user_failure_data.description
        assert "config.json" in message
        result = ask(folder, "checkpoint", "a-brief", "--since", str(file))
        assert result.returncode == 1
        assert "history of responses" in result.stdout and "config.json" in result.stdout
    finally:
        manifest.write_text(text)
