"""Alerts of a whole small study, from a daemon that runs beside it."""

import csv
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import dagster as dg
import pytest
import yaml

from preceptor.alerts.webhook import VARIABLE
from tests.alerts.webhook_server import WebhookServer
from tests.jobs.test_run_study import CHECKOUT, run
from tests.studies import QUESTIONS, document, lines, write_study

pytestmark = pytest.mark.slow


def scores(folder: Path, **means: float) -> None:
    """Write scores around a mean for each teacher."""
    with (folder / "scores.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["question_id", "model", "score"])
        for i in range(len(QUESTIONS)):
            writer.writerows([i, teacher, mean + i % 3] for teacher, mean in means.items())


def small_study(folder: Path) -> None:
    """Two teachers to rank, one whose rows fail by a third, and one that fails completely."""
    write_study(folder)
    study = document("small")
    study["teachers"].pop()
    turns = [["one", "two"] if i % 3 == 0 else ["one"] for i in range(len(QUESTIONS))]
    lines(
        folder / "failing.jsonl",
        [{"question_id": str(i), "choices": [{"turns": t}]} for i, t in enumerate(turns)],
    )
    study["teachers"] += [
        {"name": "failing", "engine": "recorded", "path": "failing.jsonl", "format": "fastchat"},
        {"name": "absent", "engine": "recorded", "path": "brief.jsonl", "format": "fastchat"},
    ]
    study["bases"].pop()
    study["reward_models"].pop()
    study["reward_models"][0]["teachers"] = {}
    study |= {"recipes": [], "car": {"resamples": 200}}
    (folder / "small.yaml").write_text(yaml.safe_dump(study))


def wait(condition: Callable[[], bool], seconds: float = 900) -> None:
    """Wait until the condition holds; fail after `seconds`."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.5)


def cursor(home: Path) -> str | None:
    """The cursor of the sensor's last tick."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        states = [state for state in instance.all_instigator_state() if state.name == "alerts"]
    return states[0].instigator_data.cursor if states and states[0].instigator_data else None


def said(taken: list[dict]) -> set[str]:
    """The alerts' texts without the ids of runs."""
    texts = [body["text"].removeprefix("small: ").split(" (run ")[0] for body in taken]
    return {re.sub(r"^run \w+", "run …", text) for text in texts}


def written(folder: Path) -> dict[Path, bytes]:
    """Every file with its content, except files that SQLite removes at the same time."""
    found = {}
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError, IsADirectoryError):
            found[path] = path.read_bytes()
    return found


def test_a_watched_study_reports_failures_drift_and_a_new_best_teacher(tmp_path, monkeypatch):
    small_study(tmp_path)
    scores(tmp_path, brief=9, chatty=1)
    home = tmp_path / "dagster" / "small.yaml"
    home.mkdir(parents=True)
    (home / "dagster.yaml").write_text((CHECKOUT / "jobs" / "dagster.yaml").read_text())
    dg.DagsterInstance.from_config(
        str(home)
    ).dispose()  # create its tables, before two processes do so at once
    output = (tmp_path / "daemon.txt").open("w")
    with WebhookServer(500) as server:
        environment = {
            **os.environ,
            VARIABLE: server.address,
            "DAGSTER_HOME": str(home),
            "PRECEPTOR_STORE": str(tmp_path / "store"),
            "PRECEPTOR_STUDY": str(tmp_path / "small.yaml"),
        }
        daemon = subprocess.Popen(
            [Path(sys.executable).parent / "dagster-daemon", "run", "--workspace", "workspace.yaml"],
            cwd=CHECKOUT,
            env=environment,
            stdout=output,
            stderr=output,
        )
        try:
            wait(lambda: cursor(home) is not None)
            assert run(tmp_path).returncode == 1
            wait(lambda: len(said(server.taken)) >= 5)
            before = len(server.taken)
            scores(tmp_path, brief=1, chatty=9)
            assert run(tmp_path).returncode == 1
            wait(lambda: any(body["kind"] == "best_teacher_changed" for body in server.taken))
        finally:
            daemon.terminate()
            daemon.wait(600)
            output.close()
    first, second = sorted(said(server.taken[:before])), sorted(said(server.taken[before:]))
    tokens, completeness, few, failures, absent = first
    assert tokens.startswith("base_losses base-a × chatty: check tokens_scored did not pass: 83.6% of 712 ")
    # Teachers that were still being computed during the ranking are not reported.
    assert completeness.startswith("car_table: check completeness did not pass: 2 of 3 ")
    assert completeness.endswith("failing: no rewards from scores")
    assert few.startswith("car_table: check enough_instructions did not pass: ")
    assert "brief" in few and "base-a" in few and " 12 instructions" in few
    # The refused rewards and losses of the failing teacher are not reported: this alert says why.
    assert failures.startswith(
        "responses failing: check failure_rate did not pass: 4 of 12 rows failed (33.3%)"
    )
    assert absent.startswith("run … failed (responses absent): teacher 'absent': no row of")
    assert f"make study STUDY={tmp_path}/small.yaml" in absent
    # Unchanged failing checks are not reported again; a failed run is, each time.
    brief, chatty, best = [text for text in second if text != absent]
    assert brief.startswith("rewards scores × brief: check reward_drift did not pass: the mean reward of 12")
    assert "was 10 in version" in brief and "and is 2 (-9.8 sd)" in brief
    assert chatty.startswith("rewards scores × chatty: check reward_drift did not pass")
    assert best.startswith("the best teacher for base-a is now chatty (CAR ")
    assert "it was brief, now rank 2 [2-2] (CAR " in best
    # The webhook refused the first alert once; it was sent again with the same id.
    assert server.asked[0] == server.taken[0]
    assert len({body["id"] for body in server.taken}) == len(server.taken)
    found = written(tmp_path)
    assert b"did not pass" in found[tmp_path / "daemon.txt"]
    assert [path for path, content in found.items() if b"T0PSECRET" in content] == []
