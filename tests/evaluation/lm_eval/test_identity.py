"""What changes a benchmark's identity, and what lm-eval's absence says."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from preceptor.evaluation.lm_eval import identity, package
from preceptor.evaluation.lm_eval.identity import benchmark_identity
from preceptor.evaluation.lm_eval.package import MissingPackageError, lm_eval_version, require
from preceptor.evaluation.lm_eval.presets import GSM8K, IFEVAL, Preset, Task
from preceptor.evaluation.lm_eval.run import draw
from preceptor.evaluation.whole_file import BenchmarkError


@pytest.fixture
def preset(tmp_path, monkeypatch) -> Preset:
    monkeypatch.setattr(identity, "lm_eval_version", lambda: "0.4.13")
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/mine.yaml").write_text("task: mine\n")
    (tmp_path / "rows.jsonl").write_text('{"question": "?", "answer": "#### 1"}\n')
    return replace(GSM8K, tasks=(Task("mine", "rows"),), definitions=tmp_path / "tasks")


def test_the_identity_is_the_same_wherever_the_files_lie(preset, tmp_path):
    found = benchmark_identity(preset, tmp_path, 0)
    (tmp_path / "elsewhere").mkdir()
    moved = (tmp_path / "rows.jsonl").rename(tmp_path / "elsewhere/test.jsonl")
    assert benchmark_identity(preset, moved.parent, 0) == found == json.loads(json.dumps(found))


@pytest.mark.parametrize(
    "change",
    [
        {"shots": 3},
        {"limit": 7},
        {"apply_chat_template": False},
        {"response_tokens": 9},
        {"main_measure": "exact_match/strict-match"},
    ],
)
def test_every_setting_changes_the_identity(preset, tmp_path, change):
    changed = benchmark_identity(replace(preset, **change), tmp_path, 0)
    assert changed != benchmark_identity(preset, tmp_path, 0)


def test_seed_and_version_change_the_identity(preset, tmp_path, monkeypatch):
    found = [benchmark_identity(preset, tmp_path, seed) for seed in (0, 1)]
    monkeypatch.setattr(identity, "lm_eval_version", lambda: "0.4.14")
    found.append(benchmark_identity(preset, tmp_path, 0))
    assert len({json.dumps(one) for one in found}) == 3


@pytest.mark.parametrize("name", ["rows.jsonl", "tasks/mine.yaml", "tasks/metric.py"])
def test_a_changed_file_changes_the_identity(preset, tmp_path, name):
    before = benchmark_identity(preset, tmp_path, 0)
    with (tmp_path / name).open("a") as file:
        file.write("# more\n")
    assert benchmark_identity(preset, tmp_path, 0) != before


def test_what_python_compiles_does_not_change_the_identity(preset, tmp_path):
    before = benchmark_identity(preset, tmp_path, 0)
    (tmp_path / "tasks/__pycache__").mkdir()
    (tmp_path / "tasks/__pycache__/metric.pyc").write_bytes(b"x")
    assert benchmark_identity(preset, tmp_path, 0) == before


def test_without_rows_there_is_no_identity(preset, tmp_path):
    (tmp_path / "rows.jsonl").unlink()
    with pytest.raises(BenchmarkError, match="no file for the split 'test'"):
        benchmark_identity(preset, tmp_path, 0)


def test_without_lm_eval_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(package, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"pip install -e '\.\[benchmarks\]'"):
        lm_eval_version()
    with pytest.raises(MissingPackageError, match=r"pip install -e '\.\[benchmarks\]'"):
        benchmark_identity(GSM8K, Path("nowhere"), 0)


def test_without_ifevals_packages_the_error_names_them(monkeypatch):
    monkeypatch.setattr(package, "lm_eval_version", lambda: "0.4.13")
    monkeypatch.setattr(package, "find_spec", lambda name: None if name == "langdetect" else object())
    with pytest.raises(MissingPackageError, match=r"langdetect: .*pip install 'lm-eval\[ifeval\]==0\.4\.13'"):
        require(IFEVAL)


def test_a_limit_draws_the_same_items_for_a_seed_and_others_for_another():
    assert draw(3, None, 0, "a") == draw(3, 9, 0, "a") == [0, 1, 2]
    drawn = draw(1319, 200, 0, "a")
    assert drawn == draw(1319, 200, 0, "a") == sorted(set(drawn))
    assert len(drawn) == 200
    assert drawn != draw(1319, 200, 1, "a")
    assert drawn != draw(1319, 200, 0, "b")
    assert set(drawn) < set(range(1319))
