"""What was found sound is not looked at again while nothing has changed; what is wrong, always."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from preceptor import soundness
from preceptor.preflight import preflight
from preceptor.soundness import SMALL, unless_sound
from preceptor.study.load import load_study
from tests.studies import document, with_runs, write_benchmarks, write_study

HEAVY = {"torch", "transformers", "peft", "trl", "pandas", "scipy", "sklearn", "matplotlib", "vllm"}
PRINT_MODULES = f"""
import sys
sys.argv = ["run_study", sys.argv[1], "--check"]
from jobs.run_study import main
try:
    main()
finally:
    print("heavy:", sorted({HEAVY!r} & set(sys.modules)))
"""


class Check:
    """Counts how often it is asked, and finds what it is told to."""

    def __init__(self, found=(), says=()):
        self.asked, self.found, self.says = 0, list(found), says

    def __call__(self):
        self.asked += 1
        for logger, sentence in self.says:
            logging.getLogger(logger).warning(sentence)
        return self.found


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "config.json").write_text('{"a": 1}')
    (folder / "deep" / "chat.jinja").write_text("x")
    weights = folder / "model.safetensors"
    weights.write_bytes(bytes(SMALL))
    os.utime(weights, (1, 1))
    return folder


@pytest.fixture
def later(monkeypatch):
    """What was written a moment ago has settled."""
    monkeypatch.setattr(soundness, "SETTLED", -(10**12))


def ask(folder, check, asked=("folder", "own")):
    return unless_sound(asked, [str(folder)], check, sound=list[str]())


def in_place(path, content):
    """Change a file, and set its time back."""
    before = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES = {
    "a setting's file": lambda folder: in_place(folder / "config.json", b'{"a": 2}'),
    "a file below": lambda folder: in_place(folder / "deep" / "chat.jinja", b"y"),
    "weights": lambda folder: in_place(folder / "model.safetensors", b"1" * SMALL),
    "a file more": lambda folder: (folder / "added_tokens.json").write_text("{}"),
    "a file less": lambda folder: (folder / "config.json").unlink(),
    "another name": lambda folder: (folder / "config.json").rename(folder / "other.json"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_folder_is_checked_again_only_when_a_file_of_it_changed(folder, later, change):
    check = Check()
    assert [ask(folder, check) for _ in range(3)] == [[], [], []]
    assert check.asked == 1
    change(folder)
    check.found = ["broken"]
    assert [ask(folder, check) for _ in range(2)] == [["broken"], ["broken"]]
    assert check.asked == 3


def test_another_question_package_or_code_is_another_check(folder, later, monkeypatch):
    check = Check()
    ask(folder, check)
    ask(folder, check, ("folder", "tulu"))
    ask(folder.parent, check)
    monkeypatch.setattr(soundness, "_surroundings", lambda: ["another transformers"])
    ask(folder, check)
    assert check.asked == 4


@pytest.mark.parametrize("logger", ["preceptor.compute.chat_template", "transformers.models.auto"])
def test_what_a_check_warns_of_is_said_each_time(folder, later, logger):
    check = Check(says=[(logger, "several templates")])
    assert ask(folder, check) == ask(folder, check) == []
    assert check.asked == 2


def test_weights_that_were_written_just_now_are_not_taken_for_settled(folder):
    check = Check()
    ask(folder, check)
    ask(folder, check)
    assert check.asked == 2  # its time was set back, but not the time of its last change


def test_where_nothing_can_be_kept_or_read_the_check_is_made(folder, later, monkeypatch):
    monkeypatch.setattr(soundness, "cache_folder", lambda: folder / "config.json")  # no folder
    check = Check()
    assert ask(folder, check) == ask(folder, check) == []
    monkeypatch.setattr(soundness, "_files", lambda *_: (_ for _ in ()).throw(PermissionError("no")))
    assert ask(folder, check) == []
    assert check.asked == 3


def checked(study: Path, cache: Path) -> tuple[int, str]:
    """Status and words of `--check`, whose last line says which heavy modules it had."""
    environment = os.environ | {"XDG_CACHE_HOME": str(cache), "HF_HUB_OFFLINE": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", PRINT_MODULES, str(study)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[1],
    )
    return ran.returncode, ran.stdout + ran.stderr


def test_a_sound_study_of_local_models_is_checked_without_torch_the_second_time(tmp_path, later, monkeypatch):
    write_study(tmp_path)
    write_benchmarks(tmp_path)
    study = with_runs(document("small"))
    (tmp_path / "tuned.yaml").write_text(yaml.safe_dump(study))
    monkeypatch.setattr(soundness, "cache_folder", lambda: tmp_path / "cache" / "preceptor")
    assert preflight(load_study(tmp_path / "tuned.yaml")) == []
    status, said = checked(tmp_path / "tuned.yaml", tmp_path / "cache")
    assert (status, said.splitlines()[-1]) == (0, "heavy: []")


def test_a_study_of_recordings_for_bases_on_a_hub_needs_neither_torch_nor_transformers(tmp_path):
    write_study(tmp_path)
    study = document("small")
    study["teachers"] = [t for t in study["teachers"] if t["engine"] == "recorded"]
    study["bases"] = [{"name": "base", "model": "some/base"}]
    study["reward_models"] = [r for r in study["reward_models"] if r["engine"] == "recorded"]
    study["car"] = {"resamples": 200}
    study["recipes"] = []
    assert study["teachers"]
    (tmp_path / "recorded.yaml").write_text(yaml.safe_dump(study))
    assert "heavy: []" in checked(tmp_path / "recorded.yaml", tmp_path / "cache")[1]
