"""A deployment's code server fails the runs that died with the previous one, and retries its storage."""

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from jobs import code_server
from jobs.instance import RETRIED


@pytest.fixture
def instance(tmp_path):
    retries = {"run_retries": {"enabled": True, "max_retries": 2}}
    with dg.instance_for_test(temp_dir=str(tmp_path), overrides=retries) as instance:
        yield instance


@pytest.fixture
def run(instance):
    return create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED)


def failures(instance, run) -> int:
    return len(instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE))


def test_a_failure_is_reported_until_the_daemon_retries_the_run(instance, run):
    assert code_server.end(instance, [run]) == [run]
    assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE
    assert code_server.end(instance, [run]) == [run]
    assert failures(instance, run) == 2
    instance.add_run_tags(run.run_id, {RETRIED: "another"})
    assert code_server.end(instance, [run]) == []
    assert failures(instance, run) == 2


def test_a_run_without_retries_left_is_reported_once(tmp_path):
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:  # none are configured
        run = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED)
        assert code_server.end(instance, [run]) == [run]
        assert code_server.end(instance, [run]) == []
        assert failures(instance, run) == 1


def test_a_deleted_run_is_ignored(instance, run):
    instance.delete_run(run.run_id)
    assert code_server.end(instance, [run]) == []


def test_opening_storage_is_retried_while_another_process_creates_its_tables(instance, monkeypatch):
    answers = [RuntimeError("type job_ticks already exists"), instance]

    def get():
        if isinstance(answer := answers.pop(0), Exception):
            raise answer
        return answer

    monkeypatch.setattr(dg.DagsterInstance, "get", get)
    assert code_server._instance() is instance
    assert answers == []
