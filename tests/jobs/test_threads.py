"""The number of threads of a study: one for small models, a share of the cores, or the set number."""

import os

import pytest

from jobs import threads
from preceptor.study.load import load_study
from tests.studies import write_study


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.delenv(threads.VARIABLE, raising=False)
    monkeypatch.setattr(threads, "GPU_DEVICES", (str(tmp_path / "gpu"),))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    yield load_study(write_study(tmp_path))
    monkeypatch.delenv(threads.VARIABLE, raising=False)


def chosen(study, processes=1):
    said = threads.set_threads(study, processes)
    number = os.environ.pop(threads.VARIABLE, None)
    assert (said is None) == (number is None)
    return number


def test_small_models_take_one_thread(study):
    assert chosen(study) == chosen(study, 4) == "1"


def test_processes_with_larger_models_share_the_cores_and_one_process_uses_all(study, monkeypatch):
    monkeypatch.setattr(threads, "SMALL", 1)
    assert [chosen(study, processes) for processes in (1, 2, 3, 100)] == [None, "4", "2", "1"]


def test_a_model_on_a_hub_does_not_count_as_small(study):
    base = study.bases[0].model_copy(update={"model": "nobody/knows"})
    assert chosen(study.model_copy(update={"bases": (base,)})) is None


def test_a_set_number_is_kept_and_with_a_gpu_nothing_is_set(study, monkeypatch, tmp_path):
    monkeypatch.setenv(threads.VARIABLE, "3")
    assert threads.set_threads(study, 2) is None
    assert os.environ[threads.VARIABLE] == "3"
    monkeypatch.delenv(threads.VARIABLE)
    (tmp_path / "gpu").touch()
    assert chosen(study, 2) is None
