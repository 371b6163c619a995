"""A run from rows to a published folder: computed once, whole or not at all, loadable by every engine."""
# ruff: noqa: F811 - fixtures are imported

import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from preceptor.compute.generation import TransformersGenerator
from preceptor.compute.request import Decoding, Request
from preceptor.lake.folders import fetch, workplace
from preceptor.lake.history import history
from preceptor.lake.schemas import SELECTED_SUBSET, TUNED_CHECKPOINT
from preceptor.lake.store import Lake, LakeError
from preceptor.study.schema import Study
from preceptor.tuning import tune as tune_module
from preceptor.tuning.task import Machine, Task, TuningError
from preceptor.tuning.tune import tune
from tests.lake.test_s3 import s3_endpoint, s3_lake  # noqa: F401 - fixtures
from tests.tuning.samples import EIGHT, SINGLE, at_rate, furthest, rows, save_base, study

LORA = {"peft_type": "LORA", "r": 8, "target_modules": "all-linear"}
CPU = Machine("cpu")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return save_base(tmp_path_factory.mktemp("base"))


def folder_of(outcome) -> Path:
    return Path(outcome.rows["uri"][0])


def test_a_run_is_tuned_once_and_says_what_it_is_made_of(base, lake):
    chosen = pl.DataFrame(
        [
            {
                "response_id": "r0",
                "instruction_id": "i",
                "teacher": "t",
                "sample": 0,
                "value": None,
                "why": "w",
            }
        ],
        schema=SELECTED_SUBSET.row_schema,
    )
    version = lake.publish(SELECTED_SUBSET, chosen, {"recipe": "all"}, "chosen-so").version
    mixed = rows([SINGLE, (None, ("q",), ("",)), (None, ("x" * 200,), ("y" * 200,))])
    read = {"selected_subset": version, "raw_instructions": 7}
    outcome = tune(lake, study(base, seed=3), "run", mixed, read, CPU)
    (row,) = outcome.rows.to_dicts()
    assert outcome.computed == 1
    assert (row["base"], row["recipe"], row["tuning"], row["seed"]) == ("base", "all", "settings", 3)
    assert (row["rows"], row["truncated_rows"], row["failed_rows"], row["steps"]) == (2, 1, 1, 1)
    # "In the north." has 13 letters, "th" twice, which is one token, and an end; r2 has half of the 128.
    assert row["tokens"] == 13 - 2 + 1 + 64
    manifest = json.loads((folder_of(outcome) / "manifest.json").read_text())
    assert manifest == json.loads(row["manifest"])
    assert manifest["origins"] == {
        "versions": read,
        "partitions": [
            {
                "table": "selected_subset",
                "partition": {"recipe": "all"},
                "version": version,
                "fingerprint": "chosen-so",
                "content": history(lake, SELECTED_SUBSET)[0].content,
            },
            {"table": "raw_instructions", "partition": {}, "version": 7},
        ],
    }
    assert manifest["failed_rows"] == {"r1": "the response has no token that can be learned"}
    # Twice 200 letters, BOS and EOS, three line breaks; in <|user|> and <|assistant|>, "er" and "an" are one.
    assert manifest["truncated_rows"] == {"r2": "424 tokens, of which 128 fit"}
    assert manifest["base"]["identity"].startswith("sha256:")
    assert manifest["tuning"]["learning_rate"] == 1e-3
    assert set(manifest["packages"]) >= {"torch", "transformers", "trl", "peft", "accelerate", "preceptor"}
    assert manifest["losses"] == row["losses"] != []
    weights = hashlib.sha256((folder_of(outcome) / "model.safetensors").read_bytes()).hexdigest()
    assert manifest["files"]["model.safetensors"] == weights
    there = {str(f.relative_to(folder_of(outcome))) for f in folder_of(outcome).rglob("*") if f.is_file()}
    assert set(manifest["files"]) == there - {"manifest.json"}
    assert not (workplace(lake, "tuning", "run") / outcome.fingerprint).exists()
    assert tune(lake, study(base, seed=3), "run", mixed, read, CPU).version == outcome.version


def test_the_manifest_counts_responses_that_were_cut_and_a_cut_one_is_another_task(base, lake):
    chosen = rows([SINGLE] * 4, ["stop", "length", None, None]).with_columns(cut_left_out=pl.lit(5))
    manifest = json.loads(tune(lake, study(base), "run", chosen, {}, CPU).rows["manifest"][0])
    assert manifest["cut_responses"] == {"left_out": 5, "kept_without_their_end": 1, "not_known": 2}
    assert manifest["tokens"] == 4 * (13 - 2 + 1) - 1  # as above, and one end that is not learned
    whole = chosen.with_columns(finish_reason=pl.lit("stop"))
    assert Task.of(study(base), "run", chosen).fingerprint != Task.of(study(base), "run", whole).fingerprint


def refuse(*_, **__):
    raise AssertionError("trained again")


def test_nothing_is_computed_twice(base, lake, monkeypatch):
    first = tune(lake, study(base), "run", EIGHT, {}, CPU)
    monkeypatch.setattr(tune_module, "make_trainer", refuse)
    again = tune(lake, study(base), "run", EIGHT, {}, Machine("cpu", rows_per_device=1))
    assert (again.computed, again.reused, again.version) == (0, 1, first.version)
    manifest = folder_of(first) / "manifest.json"
    text = manifest.read_text()
    manifest.write_text(text.replace('"seed": ', '"seed": 1'))
    with pytest.raises(LakeError, match=r"/manifest\.json is not the file that was written"):
        tune(lake, study(base), "run", EIGHT, {}, CPU)
    manifest.write_text(text)
    lake.delete(TUNED_CHECKPOINT, {"run": "run"})  # killed after the folder and before the row
    restored = tune(lake, study(base), "run", EIGHT, {}, CPU)
    assert restored.rows.equals(first.rows)
    renamed = study(base).model_copy(
        update={"tunings": (study(base).tunings[0].model_copy(update={"name": "n"}),)}
    )
    run = renamed.run("run").model_copy(update={"tuning": "n"})
    assert (
        tune(lake, renamed.model_copy(update={"runs": (run,)}), "run", EIGHT, {}, CPU).rows["tuning"][0]
        == "n"
    )
    (folder_of(first) / "manifest.json").unlink()
    with pytest.raises(TuningError, match="trained again"):
        tune(lake, study(base), "run", EIGHT, {}, CPU)


@pytest.mark.parametrize(
    "other",
    [
        lambda base: Task.of(study(base, learning_rate=2e-3), "run", EIGHT),
        lambda base: Task.of(study(base, seed=1), "run", EIGHT),
        lambda base: Task.of(study(base, peft=LORA), "run", EIGHT),
        lambda base: Task.of(study(base, base={"prompt_format": "plain"}), "run", EIGHT),
        lambda base: Task.of(study(base, base={"dtype": "bfloat16"}), "run", EIGHT),
        lambda base: Task.of(study(base), "run", EIGHT.reverse()),
        lambda base: Task.of(study(base), "run", EIGHT.with_columns(system=pl.lit("Be brief."))),
    ],
)
def test_whatever_changes_the_weights_changes_the_fingerprint(base, other):
    assert other(base).fingerprint != Task.of(study(base), "run", EIGHT).fingerprint
    assert other(base).fingerprint == other(base).fingerprint


# A random base's embeddings say nothing, so an adapter needs them and the output layer tuned beside it.
WIDE = {
    "peft_type": "LORA",
    "r": 4,
    "target_modules": "all-linear",
    "modules_to_save": ["embed_tokens", "lm_head"],
}


@pytest.mark.parametrize(
    ("prompt_format", "peft"), [("tulu", None), ("chatml", None), ("plain", None), ("chatml", WIDE)]
)
def test_the_tuned_folder_answers_and_stops_as_it_was_taught(tmp_path, lake, prompt_format, peft):
    path = save_base(tmp_path / "base", "<|im_start|>", "<|im_end|>")
    setting = study(
        path, base={"prompt_format": prompt_format}, epochs=40, learning_rate=2e-2, warmup=0.1, peft=peft
    )
    taught = rows([(None, ("Hi",), ("Hello",)), (None, ("Bye", "More"), ("Bye now", "No more"))])
    outcome = tune(lake, setting, "run", taught, {}, CPU)
    student = TransformersGenerator(
        str(folder_of(outcome)), prompt_format="own", decoding=Decoding(max_new_tokens=30)
    )
    single, double = student.generate([Request(None, ("Hi",), 0), Request(None, ("Bye", "More"), 0)])
    assert (single.turns, single.finish_reason) == (("Hello",), "stop")
    assert (double.turns, double.finish_reason) == (("Bye now", "No more"), "stop")
    assert json.loads((folder_of(outcome) / "config.json").read_text())["use_cache"]  # the trainer's is off


def test_progress_is_logged_and_nothing_else_speaks(base, lake, caplog, capfd):
    with caplog.at_level(logging.INFO), caplog.at_level(logging.DEBUG, "preceptor.tuning"):
        tune(lake, study(base, epochs=2), "run", EIGHT, {}, CPU)
    messages = [record.message for record in caplog.records if record.name.startswith("preceptor")]
    assert "run run: 8 rows, 0 of them truncated; 0 left out (listed in the manifest)" in messages
    assert any(message.startswith("run run: step 4 of 4, loss 5.") for message in messages)
    assert any("run run: 16 of 16 rows in" in message and "tokens/s" in message for message in messages)
    others = [
        r.message for r in caplog.records if not r.name.startswith("preceptor") and r.levelno > logging.INFO
    ]
    assert others == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("chosen", "reason"),
    [(EIGHT.clear(), "its recipe chose none"), (rows([(None, ("q",), ("",))]), "no token")],
)
def test_a_run_without_rows_to_learn_from_is_refused(base, lake, chosen, reason):
    with pytest.raises(TuningError, match=f"run 'run': no row .*{reason}"):
        tune(lake, study(base), "run", chosen, {}, CPU)
    assert lake.read(TUNED_CHECKPOINT).is_empty()


def test_a_run_that_diverges_publishes_nothing_and_leaves_nothing(base, lake):
    with pytest.raises(TuningError, match="the loss is nan"):
        tune(lake, at_rate(study(base, epochs=4, warmup=0), 1e38), "run", EIGHT, {}, CPU)
    assert lake.read(TUNED_CHECKPOINT).is_empty()
    assert not Path(lake.root, "test", "checkpoints").exists()
    assert [path.name for path in workplace(lake, "tuning", "run").iterdir()] == [".lock"]


def test_work_of_other_settings_is_removed(base, lake):
    stale = workplace(lake, "tuning", "run", "0123456789abcdef")
    stale.mkdir(parents=True)
    tune(lake, study(base), "run", EIGHT, {}, CPU)
    assert not stale.exists()


def test_a_folder_that_cannot_be_written_is_named(base, lake, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tune_module, "save_model", full)
    with pytest.raises(TuningError, match=r"run 'run': .*/finished: .*No space left"):
        tune(lake, study(base), "run", EIGHT, {}, CPU)
    assert not Path(lake.root, "test", "checkpoints").exists()


def test_two_at_once_train_once(base, lake, monkeypatch):
    trained, real = [], tune_module.make_trainer
    monkeypatch.setattr(tune_module, "make_trainer", lambda *given: trained.append(1) or real(*given))
    outcomes = []
    threads = [
        threading.Thread(target=lambda: outcomes.append(tune(lake, study(base), "run", EIGHT, {}, CPU)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert trained == [1]
    assert outcomes[0].rows.equals(outcomes[1].rows)


KILLED = """
import os, re, signal, sys
from preceptor.lake.store import Lake
from preceptor.study.schema import Study
from preceptor.tuning.task import Machine
from preceptor.tuning.tune import tune
from tests.tuning.samples import EIGHT

def end(event, arguments):
    found = event == "open" and re.search(r"checkpoint-([0-9]+)", str(arguments[0]))
    if found and int(found[1]) >= int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

study = Study.model_validate_json(sys.stdin.read())
sys.addaudithook(end)
tune(Lake(sys.argv[1], "test"), study, "run", EIGHT, {}, Machine("cpu", minutes_between_checkpoints=0))
"""


def kill_after(steps, setting, lake):
    """Tune in another process, which is killed where it opens a file of a checkpoint of that step."""
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, lake.root, f"{steps}"],
        input=setting.model_dump_json(),
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": "."},
        text=True,
    )
    assert ended.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_a_killed_process_loses_at_most_a_checkpoint(base, tmp_path):
    setting: Study = study(base, epochs=30)  # 60 steps
    undisturbed = tune(Lake(str(tmp_path / "calm"), "test"), setting, "run", EIGHT, {}, CPU)
    lake = Lake(str(tmp_path / "store"), "test")
    work = workplace(lake, "tuning", "run", undisturbed.fingerprint)
    for steps in (5, 20):
        kill_after(steps, setting, lake)
        assert list(work.glob(f"checkpoint-{steps}"))
        assert lake.read(TUNED_CHECKPOINT).is_empty()
    resumed = tune(lake, setting, "run", EIGHT, {}, CPU)
    assert json.loads(resumed.rows["manifest"][0])["resumed_from"] >= 19  # of 20, half may lie there
    assert furthest(str(folder_of(resumed)), str(folder_of(undisturbed))) < 1e-6
    assert resumed.rows["loss_steps"].to_list() == undisturbed.rows["loss_steps"].to_list()


@pytest.mark.slow
def test_a_full_disk_is_named_and_the_run_goes_on_when_there_is_room(base, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk here: {mounted.stderr.strip()}")
    lake, setting = Lake(str(disk), "test"), study(base, epochs=3)
    always = replace(CPU, minutes_between_checkpoints=0)
    try:
        lake.create(TUNED_CHECKPOINT)
        ballast = disk / "ballast"
        for room in (100, 60):  # blocks of 4 KiB: a checkpoint has about 80
            ballast.write_bytes(b"")
            space = os.statvfs(disk)
            ballast.write_bytes(bytes((space.f_bavail - room) * space.f_frsize))
            with pytest.raises(TuningError, match=r"run 'run': .*_work/tuning/run/.*free disk space"):
                tune(lake, setting, "run", EIGHT, {}, always)
            assert lake.read(TUNED_CHECKPOINT).is_empty()
            assert not (disk / "test" / "checkpoints").exists()
        ballast.unlink()
        assert tune(lake, setting, "run", EIGHT, {}, always).rows["steps"].to_list() == [6]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_a_run_is_published_to_s3_and_fetched_from_there(base, s3_lake, lake, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    outcome = tune(s3_lake, study(base), "run", EIGHT, {}, CPU)
    (uri,) = outcome.rows["uri"]
    assert uri == f"{s3_lake.root}/test/checkpoints/run/{outcome.fingerprint}"
    local = tune(lake, study(base), "run", EIGHT, {}, CPU)
    assert furthest(str(fetch(s3_lake, uri)), str(folder_of(local))) == 0
    assert tune(s3_lake, study(base), "run", EIGHT, {}, CPU).version == outcome.version
    assert not (workplace(s3_lake, "tuning", "run") / outcome.fingerprint).exists()


def test_definitions_load_without_the_libraries_that_tune():
    check = (
        "import sys, preceptor.tuning.tune, preceptor.tuning.learning; print(sorted({'torch', 'trl', 'peft',"
    )
    check += " 'transformers', 'datasets', 'matplotlib'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
