"""Training: seeds, batches split by the machine, interruptions, losses that are not finite."""

import json
import math
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import TrainerCallback

from preceptor.study.tuning import Tuning
from preceptor.tuning.task import DivergedError, Machine, TuningError
from preceptor.tuning.train import last_checkpoint, train
from preceptor.tuning.trainer import Schedule, rows_per_device
from tests.pickles import write_pickle
from tests.tuning.samples import EIGHT, KINDS, at_rate, furthest, rows, save_base, study, trainer_of

LORA = {"peft_type": "LORA", "r": 4, "target_modules": "all-linear", "lora_dropout": 0.3}
ALWAYS = Machine("cpu", rows_per_device=2, minutes_between_checkpoints=0)


class Killed(BaseException):
    """Stands for a kill: nobody handles it."""


class KillAfter(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_begin(self, args, state, control, **_):
        if state.global_step == self.step:
            raise Killed


@pytest.fixture
def base(tmp_path):
    return save_base(tmp_path / "base")


def run(setting, work, machine=None, chosen=EIGHT, kill_after=None):
    """Train and save the trainer's model to a folder of its own; the training and the folder."""
    trainer, _ = trainer_of(setting, chosen, work, machine)
    if kill_after is not None:
        trainer.add_callback(KillAfter(kill_after))
        with pytest.raises(Killed):
            train(trainer, "run")
        return None, None
    training = train(trainer, "run")
    model = trainer.model.merge_and_unload() if setting.tunings[0].peft else trainer.model
    model.save_pretrained(work / "saved")
    return training, str(work / "saved")


def test_eight_rows_are_learned_by_heart(base, tmp_path):
    training, _ = run(study(base, epochs=20, learning_rate=1e-2), tmp_path / "work")
    assert training.steps == 40
    assert training.losses[0] > 5
    assert training.final_loss == pytest.approx(sum(training.losses[-2:]) / 2)  # an epoch has two steps
    assert training.final_loss < 1


@pytest.mark.parametrize("peft", [None, LORA])
def test_the_seed_decides_every_bit(base, tmp_path, peft):
    folders = [
        run(study(base, seed=seed, epochs=2, peft=peft), tmp_path / str(number))[1]
        for number, seed in enumerate((5, 5, 6))
    ]
    assert furthest(folders[0], folders[1]) == 0
    assert furthest(folders[0], folders[2]) > 1e-6


def test_batches_split_by_the_machine_give_the_same_weights(base, tmp_path):
    chosen = rows(KINDS)  # 7 rows of very different lengths: batches of 4 and 3
    folders = [
        run(study(base, epochs=2), tmp_path / str(most), Machine("cpu", rows_per_device=most), chosen)[1]
        for most in (4, 3, 1)
    ]
    assert furthest(folders[0], base) > 1e-3
    assert furthest(folders[0], folders[1]) < 1e-5
    assert furthest(folders[0], folders[2]) < 1e-5


@pytest.mark.parametrize(("batch", "most", "found"), [(128, 16, 16), (6, 4, 3), (7, 4, 1), (4, 16, 4)])
def test_rows_per_device_divide_the_batch(batch, most, found):
    assert rows_per_device(batch, most) == found


# In the second epoch, and at its end.
@pytest.mark.parametrize(("peft", "kill_after"), [(None, 3), (None, 4), (LORA, 3)])
def test_an_interrupted_run_ends_as_an_uninterrupted_one(base, tmp_path, peft, kill_after):
    setting = study(base, epochs=3, schedule="cosine", warmup=0.2, peft=peft)
    undisturbed, whole = run(setting, tmp_path / "whole", ALWAYS)
    run(setting, tmp_path / "work", ALWAYS, kill_after=kill_after)
    assert [path.name for path in (tmp_path / "work").glob("checkpoint-*")] == [f"checkpoint-{kill_after}"]
    training, resumed = run(setting, tmp_path / "work", ALWAYS)
    assert (training.resumed_from, training.steps) == (kill_after, 6)
    assert furthest(whole, resumed) < 1e-6
    assert training.loss_steps == undisturbed.loss_steps
    assert training.losses == pytest.approx(undisturbed.losses, abs=1e-6)


def test_a_run_resumes_with_other_rows_per_device(base, tmp_path):
    setting = study(base, epochs=2)
    _, whole = run(setting, tmp_path / "whole", ALWAYS)
    run(setting, tmp_path / "work", ALWAYS, kill_after=1)
    training, resumed = run(setting, tmp_path / "work", Machine("cpu", rows_per_device=4))
    assert training.resumed_from == 1
    assert furthest(whole, resumed) < 1e-5


def test_a_half_written_checkpoint_is_passed_over(base, tmp_path):
    setting, work = study(base, epochs=2), tmp_path / "work"
    _, whole = run(setting, tmp_path / "whole", ALWAYS)
    run(setting, work, ALWAYS, kill_after=2)
    for number in (3, 4):
        shutil.copytree(work / "checkpoint-2", work / f"checkpoint-{number}")
        (work / f"checkpoint-{number}" / "optimizer.pt").write_bytes(b"half")
    state = work / "checkpoint-3" / "trainer_state.json"
    state.write_text(state.read_text()[:200])
    (work / "checkpoint-4" / "trainer_state.json").unlink()
    training, resumed = run(setting, work, ALWAYS)
    assert training.resumed_from == 2
    assert furthest(whole, resumed) < 1e-6


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
def test_a_checkpoint_that_holds_code_is_refused_and_never_run(base, tmp_path, name):
    setting, work, marker = study(base, epochs=2), tmp_path / "work", tmp_path / "executed"
    run(setting, work, ALWAYS, kill_after=2)
    assert (work / "checkpoint-2" / name).exists()
    write_pickle(work / "checkpoint-2" / name, marker)
    write_pickle(work / "checkpoint-2" / "training_args.bin", marker)
    with pytest.raises(TuningError, match=r"run 'run': .*/checkpoint-2 .*damaged.*code"):
        run(setting, work, ALWAYS)
    assert not marker.exists()


def test_training_arguments_beside_a_checkpoint_are_not_read(base, tmp_path):
    setting, work, marker = study(base, epochs=2), tmp_path / "work", tmp_path / "executed"
    run(setting, work, ALWAYS, kill_after=2)
    write_pickle(work / "checkpoint-2" / "training_args.bin", marker)
    assert run(setting, work, ALWAYS)[0].resumed_from == 2
    assert not marker.exists()


def test_tiny_runs_never_save_checkpoints(base, tmp_path):
    run(study(base), tmp_path / "work")
    assert not list((tmp_path / "work").glob("checkpoint-*"))
    assert last_checkpoint(tmp_path / "work") is None


def test_a_loss_that_is_not_finite_stops_the_run(base, tmp_path):
    trainer, _ = trainer_of(
        at_rate(study(base, epochs=4, schedule="constant", warmup=0), 1e38), EIGHT, tmp_path
    )
    with pytest.raises(DivergedError, match=r"^run 'run': .*nan.* 2 of 8 .*1e\+38.*'learning_rate'"):
        train(trainer, "run")


def test_weights_that_are_not_finite_are_never_a_result(base, tmp_path):
    # One step only: the loss before it is finite, the weights after it are not.
    trainer, _ = trainer_of(at_rate(study(base, warmup=0, batch_size=8), 1e39), EIGHT, tmp_path)
    with pytest.raises(DivergedError, match=r"run 'mine': weights .*'learning_rate'"):
        train(trainer, "mine")


def test_a_checkpoint_that_cannot_be_written_is_named(base, tmp_path):
    class InTheWay(TrainerCallback):
        def on_train_begin(self, args, state, control, **_):
            (tmp_path / "work" / "checkpoint-1").write_text("a file where the folder should be")

    trainer, _ = trainer_of(study(base), EIGHT, tmp_path / "work", ALWAYS)
    trainer.add_callback(InTheWay)
    with pytest.raises(TuningError, match=r"run 'run': .*/work: .*checkpoint-1"):
        train(trainer, "run")


def test_a_device_that_is_not_there_is_named(base, tmp_path):
    for device, message in (("cuda", "torch finds no GPU"), ("cuda:1", "CUDA_VISIBLE_DEVICES")):
        with pytest.raises(TuningError, match=message):
            trainer_of(study(base), EIGHT, tmp_path, Machine(device))


def test_what_trl_turns_on_by_itself_is_off_unless_asked_for(base, tmp_path):
    args = trainer_of(study(base), EIGHT, tmp_path)[0].args
    assert (args.bf16, args.gradient_checkpointing, args.packing, args.report_to) == (False, False, False, [])
    asked = Machine("cpu", gradient_checkpointing=True)
    wanted = study(base, mixed_precision="bf16", weight_decay=0.3, max_gradient_norm=0.7)
    args = trainer_of(wanted, EIGHT, tmp_path, asked)[0].args
    assert (args.bf16, args.gradient_checkpointing) == (True, True)
    assert (args.weight_decay, args.max_grad_norm) == (0.3, 0.7)


@pytest.mark.parametrize("peft", [None, LORA | {"lora_dropout": 0}])
def test_gradient_checkpointing_changes_nothing(base, tmp_path, peft):
    plain = run(study(base, peft=peft), tmp_path / "plain")[1]
    saving = run(study(base, peft=peft), tmp_path / "saving", Machine("cpu", gradient_checkpointing=True))[1]
    assert furthest(plain, base) > 1e-4
    assert furthest(plain, saving) < 1e-6


def test_bf16_computes_otherwise_and_the_next_run_does_not_inherit_it(base, tmp_path):
    plain = run(study(base), tmp_path / "plain")[1]
    mixed = run(study(base, mixed_precision="bf16"), tmp_path / "mixed")[1]
    again = run(study(base), tmp_path / "again")[1]
    assert furthest(plain, again) == 0
    assert 0 < furthest(plain, mixed) < 4.1e-3  # Adam moves a weight by at most 1e-3 a step, either way


@pytest.mark.parametrize(("name", "shape"), [("linear", 0.5), ("cosine", 0.5), ("constant", 1.0)])
def test_the_learning_rate_warms_up_and_then_follows_its_schedule(base, tmp_path, name, shape):
    trainer, _ = trainer_of(study(base, schedule=name, warmup=0.2, epochs=5), EIGHT, tmp_path)
    train(trainer, "run")
    rates = [entry["learning_rate"] / 1e-3 for entry in trainer.state.log_history if "loss" in entry]
    assert rates[:3] == pytest.approx([0, 0.5, 1])  # 10 steps, 2 of them warm up
    assert rates[6] == pytest.approx(shape)  # half of the 8 others


def test_nothing_is_reported_to_trls_makers(base, tmp_path, monkeypatch):
    sent = []
    monkeypatch.setattr("trl.trainer.base_trainer.send_telemetry", lambda **what: sent.append(what))
    monkeypatch.delenv("CI", raising=False)
    run(study(base), tmp_path / "work")
    assert sent == []


@settings(max_examples=200)
@given(rows=st.integers(1, 50), batch=st.integers(1, 20), epochs=st.floats(0.1, 4))
def test_schedules_count_rows_as_a_loop_over_batches_does(rows, batch, epochs):
    schedule = Schedule.of(rows, Tuning(name="t", batch_size=batch, epochs=epochs))
    sizes = [len(range(start, min(start + batch, rows))) for start in range(0, rows, batch)] * 5
    assert schedule.steps == math.ceil(epochs * math.ceil(rows / batch))
    assert [schedule.rows_after(s) for s in range(schedule.steps + 1)] == [
        sum(sizes[:s]) for s in range(schedule.steps + 1)
    ]
    assert schedule.steps / schedule.logging_steps <= 50


def test_the_trainer_takes_the_schedules_steps_and_logs_the_last_one(base, tmp_path):
    for epochs, rows_at_once in ((26.5, 4), (0.3, 1), (1.6, 3)):
        chosen = rows(KINDS)
        setting = study(base, epochs=epochs, batch_size=6 if rows_at_once == 3 else 4)
        trainer, _ = trainer_of(setting, chosen, tmp_path, Machine("cpu", rows_per_device=rows_at_once))
        training = train(trainer, "run")
        schedule = Schedule.of(len(chosen), setting.tunings[0])
        assert training.steps == training.loss_steps[-1] == schedule.steps
        assert len(training.losses) <= 51


def test_the_checkpoint_keeps_the_curve(base, tmp_path):
    run(study(base, epochs=2), tmp_path, ALWAYS, kill_after=2)
    state = json.loads((tmp_path / "checkpoint-2" / "trainer_state.json").read_text())
    assert [entry["step"] for entry in state["log_history"]] == [1, 2]
