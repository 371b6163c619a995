"""The files of deploy/ agree with Dagster, the Makefile and this checkout."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dagster._core.instance.config import dagster_instance_config

CHECKOUT = Path(__file__).parents[2]
DEPLOY = CHECKOUT / "deploy"
PROGRAMS = Path(sys.executable).parent


def instructions(name: str) -> list[str]:
    """The Containerfile's instructions of one kind, one line each."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Containerfile").read_text(), flags=re.M).replace("\\\n", " ")
    return [line.removeprefix(name).strip() for line in text.splitlines() if line.startswith(f"{name} ")]


def variables(value) -> set[str]:
    """The environment variables that a configuration reads."""
    if isinstance(value, dict):
        return {value["env"]} if set(value) == {"env"} else set().union(*map(variables, value.values()))
    return set().union(*map(variables, value)) if isinstance(value, list) else set()


def loaded(name: str) -> dict:
    return yaml.safe_load((DEPLOY / name).read_text())


@pytest.mark.parametrize("folder", ["deploy", "jobs"])
def test_dagster_accepts_every_key(folder):
    config, _ = dagster_instance_config(str(CHECKOUT / folder))
    assert config["telemetry"] == {"enabled": False}
    assert config["run_monitoring"]["free_slots_after_run_end_seconds"] == 60


def test_dagster_applies_the_settings(monkeypatch, tmp_path):
    """With storage in a folder, because this test has no Postgres."""
    import dagster as dg

    config = loaded("dagster.yaml")
    del config["storage"]
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(config))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert type(instance.run_coordinator).__name__ == "QueuedRunCoordinator"
        concurrency = instance.get_concurrency_config()
        assert concurrency.run_queue_config.max_concurrent_runs == 8
        assert concurrency.run_queue_config.max_user_code_failure_retries == 3
        assert concurrency.run_queue_config.op_concurrency_slot_buffer == 1
        assert concurrency.pool_config.default_pool_limit == 1
        assert instance.run_retries_max_retries == 2 and not instance.run_retries_retry_on_asset_or_op_failure
        assert instance.managed_python_loggers == ["preceptor"]
        required = {"MONITORING", "EVENT_LOG_CONSUMER", "QUEUED_RUN_COORDINATOR", "FRESHNESS_DAEMON"}
        assert required <= set(instance.get_required_daemon_types())


def test_after_a_study_the_gpu_pool_has_the_limit_of_dagster_yaml(tmp_path):
    import dagster as dg

    from jobs.workers import POOL, allowed_at_once, usual_slots

    def slots(instance):
        return instance.event_log_storage.get_concurrency_info(POOL).slot_count

    text = (CHECKOUT / "jobs" / "dagster.yaml").read_text()
    (tmp_path / "dagster.yaml").write_text(text.replace("default_limit: 1", "default_limit: 2"))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        with allowed_at_once(instance, 5):
            assert slots(instance) == 5
        assert slots(instance) == 2
        instance.event_log_storage.set_concurrency_slots(POOL, 5)  # as a killed study leaves it
    (tmp_path / "dagster.yaml").write_text(text.replace("default_limit: 1", "default_limit: 3"))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert slots(instance) == 5
        usual_slots(instance)  # as `make ui` does when it starts
        assert slots(instance) == 3


def test_no_secret_is_in_a_file_and_every_variable_is_set():
    wanted = variables(loaded("dagster.yaml")) | variables(loaded("workspace.yaml"))
    postgres = {"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE"}
    assert wanted == postgres | {"PRECEPTOR_CODE_HOST", "PRECEPTOR_CODE_PORT"}
    services = loaded("compose.yaml")["services"]
    for name in ("code", "daemon", "webserver"):
        assert wanted <= set(services[name]["environment"]), name
    assert services["code"]["environment"]["PGPASSWORD"].startswith("${PGPASSWORD:?")
    assert services["postgres"]["environment"]["POSTGRES_PASSWORD"] == "${PGPASSWORD}"
    assert not [
        line for line in instructions("ENV") + instructions("ARG") if re.search("PASSW|KEY|TOKEN", line)
    ]


def test_every_command_is_a_program_or_module_that_exists():
    services = loaded("compose.yaml")["services"]
    commands = [services[name]["command"] for name in ("code", "daemon", "webserver")]
    for command in [*commands, yaml.safe_load(instructions("CMD")[0])]:
        assert (PROGRAMS / command[0]).exists(), command
        if "-m" in command:
            assert importlib.util.find_spec(command[command.index("-m") + 1]), command
    copied = [line.split()[-1] for line in instructions("COPY")]
    assert "/opt/dagster/" in copied and services["daemon"]["command"][-1] == "/opt/dagster/workspace.yaml"


def test_copied_paths_exist_and_dockerignore_allows_them():
    sources = [source for line in instructions("COPY") for source in line.split()[:-1]]
    allowed = {line[1:] for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line[0] == "!"}
    assert {source.split("/")[0] for source in sources} == allowed
    for source in sources:
        assert (CHECKOUT / source).exists(), source
    python = {path.parts[0] for path in map(Path, tracked("*.py"))}
    left_out = {"tests", "benchmarks", "studies"}
    assert python - left_out <= {Path(source).parts[0] for source in sources}


def tracked(pattern: str) -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout.split()


def test_the_image_installs_what_the_makefile_installs_and_runs_without_root():
    installs = [line for line in instructions("RUN") if "pip install" in line]
    made = re.findall(r"pip install --quiet (.*)", (CHECKOUT / "Makefile").read_text())[:2]
    assert [shlex.split(line)[-1] for line in installs] == [made[0], ".[${EXTRAS}]"]
    assert made[1] == "--editable ."
    (base,) = instructions("FROM")
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", base)
    assert instructions("USER") == ["preceptor"]


@pytest.mark.slow
def test_a_code_server_without_postgres_exits_with_the_reason(tmp_path):
    (tmp_path / "dagster.yaml").write_text((DEPLOY / "dagster.yaml").read_text())
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path), "PGHOST": "127.0.0.1", "PGPORT": "1"}
    environment |= {"PGUSER": "dagster", "PGPASSWORD": "not-to-be-shown", "PGDATABASE": "dagster"}
    command = [sys.executable, "-m", "jobs.code_server", "--port", "1"]
    result = subprocess.run(command, cwd=CHECKOUT, env=environment, text=True, capture_output=True)
    assert result.returncode == 1
    assert "cannot use Dagster's storage" in result.stderr and f"{tmp_path}/dagster.yaml" in result.stderr
    assert "Connection refused" in result.stderr and "Traceback" not in result.stderr
    assert "not-to-be-shown" not in result.stdout + result.stderr
