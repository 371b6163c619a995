"""Set up TRL's trainers: steps, settings, progress, checkpoints, and the errors that stop a run."""

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preceptor.progress import Progress
from preceptor.study.tuning import Tuning
from preceptor.tuning.examples import Examples
from preceptor.tuning.task import DivergedError, Machine, Task, TuningError

log = logging.getLogger(__name__)
CURVE_POINTS = 50
SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


@dataclass(frozen=True)
class Schedule:
    """Epochs over `rows` in batches; the last batch of an epoch may be smaller."""

    rows: int
    batch_size: int
    steps: int

    @classmethod
    def of(cls, rows: int, tuning: Tuning) -> "Schedule":
        """The schedule of a tuning over `rows` rows. A fraction of an epoch is rounded up to whole steps."""
        an_epoch = math.ceil(rows / tuning.batch_size)
        return cls(rows, tuning.batch_size, math.ceil(tuning.epochs * an_epoch))

    @property
    def steps_an_epoch(self) -> int:
        """Optimizer steps per epoch."""
        return math.ceil(self.rows / self.batch_size)

    @property
    def logging_steps(self) -> int:
        """Steps between two points of the loss curve, which has about CURVE_POINTS points."""
        return math.ceil(self.steps / CURVE_POINTS)

    def rows_after(self, step: int) -> int:
        """Rows processed after this step, counted again in each epoch."""
        epochs, steps = divmod(step, self.steps_an_epoch)
        return epochs * self.rows + min(steps * self.batch_size, self.rows)


@dataclass(frozen=True)
class TrainerSetup:
    """The parts that trainers of all objectives share: settings, model, data, callbacks."""

    run: str
    arguments: dict[str, Any]  # of transformers' TrainingArguments
    parts: dict[str, Any]  # model, train_dataset, processing_class, callbacks

    def config(self, kind: Any, **own: Any) -> Any:
        """The shared settings and the objective's own, as TRL's configuration of that class."""
        config = kind(**self.arguments, **own)
        config._n_gpu = min(config.n_gpu, 1)  # one process uses one GPU, even if it sees more
        return config

    def trainer(self, kind: Any, config: Any, **own: Any) -> Any:
        """A trainer of that class that stops at a loss that is not finite."""
        return _watched(kind, self.run)(args=config, **self.parts, **own)


def make_trainer(
    task: Task, model: Any, tokenizer: Any, examples: Examples, machine: Machine, work: Path
) -> Any:
    """The objective's trainer for these examples. It reports by logging."""
    from datasets import Dataset
    from transformers.trainer_callback import PrinterCallback

    run, schedule = task.run.name, Schedule.of(len(examples.rows), task.tuning)
    parts = {
        "model": model,
        "train_dataset": Dataset.from_list([task.objective.features(row) for row in examples.rows]),
        "processing_class": tokenizer,
        "callbacks": [_callback(run, schedule, machine.minutes_between_checkpoints)],
    }
    setup = TrainerSetup(run, training_arguments(task, schedule, machine, work), parts)
    trainer = task.objective.trainer(task.tuning.objective, setup)
    trainer.remove_callback(PrinterCallback)
    return trainer


def training_arguments(task: Task, schedule: Schedule, machine: Machine, work: Path) -> dict[str, Any]:
    """The settings of every trainer. bf16 and gradient checkpointing, TRL's defaults, are off unless set."""
    tuning = task.tuning
    rows = rows_per_device(tuning.batch_size, machine.rows_per_device)
    return {
        "output_dir": str(work),
        "num_train_epochs": tuning.epochs,
        "per_device_train_batch_size": rows,
        "gradient_accumulation_steps": tuning.batch_size // rows,
        "learning_rate": tuning.learning_rate,
        "lr_scheduler_type": SCHEDULES[tuning.schedule],
        "warmup_steps": tuning.warmup,  # below 1 it is a share of the steps
        "weight_decay": tuning.weight_decay,
        "max_grad_norm": tuning.max_gradient_norm,
        "bf16": tuning.mixed_precision == "bf16",
        "gradient_checkpointing": machine.gradient_checkpointing,
        "seed": task.run.seed,
        "data_seed": task.run.seed,
        "use_cpu": _device(machine.device) == "cpu",
        "logging_steps": schedule.logging_steps,
        "include_num_input_tokens_seen": "non_padding",
        "save_strategy": "no",  # the callback decides when
        "save_total_limit": 1,
        "report_to": "none",
        "disable_tqdm": True,
    }


def rows_per_device(batch_size: int, most: int) -> int:
    """The largest number of rows that divides the batch and fits the machine."""
    return max(rows for rows in range(1, min(batch_size, most) + 1) if batch_size % rows == 0)


def _device(device: str) -> str:
    import torch

    from preceptor.compute.load import pick_device

    picked = pick_device(device)
    if picked not in ("cpu", "cuda"):
        raise TuningError(f"device {device!r}: set auto, cpu or cuda; choose a GPU with CUDA_VISIBLE_DEVICES")
    if picked == "cuda" and not torch.cuda.is_available():
        raise TuningError("device 'cuda': torch finds no GPU on this machine; set the device to auto or cpu")
    return picked


def _watched(kind: Any, run: str) -> Any:
    import torch

    class WatchedTrainer(kind):  # type: ignore[misc]
        """Stops before a loss that is not finite reaches the weights, and reports a failed save."""

        def training_step(self, *inputs: Any, **options: Any) -> Any:
            loss = super().training_step(*inputs, **options)
            if not torch.isfinite(loss):
                raise DivergedError(
                    f"run {run!r}: the loss is {loss.item()} at step {self.state.global_step + 1} of"
                    f" {self.state.max_steps} (learning rate {self.lr_scheduler.get_last_lr()[0]:.3g});"
                    " lower the tuning's 'learning_rate' or raise its 'warmup'"
                )
            return loss

        def _save_checkpoint(self, *inputs: Any, **options: Any) -> None:
            try:
                super()._save_checkpoint(*inputs, **options)
            except Exception as error:  # each library has its own error for a full disk
                raise TuningError(
                    f"run {run!r}: the checkpoint cannot be saved to {self.args.output_dir}: {error};"
                    " free disk space there; the run then continues from its last checkpoint"
                ) from error

        def _send_telemetry(self) -> None:
            """Do nothing: TRL would report the run to Hugging Face."""

    return WatchedTrainer


def _callback(run: str, schedule: Schedule, minutes: float) -> Any:
    from transformers import TrainerCallback

    class Watch(TrainerCallback):  # type: ignore[misc]
        """Reports progress, logs the last step too, and saves a checkpoint every `minutes` minutes."""

        def on_train_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
            self.saved = time.monotonic()
            self.rows, self.tokens = schedule.rows_after(state.global_step), state.num_input_tokens_seen
            self.progress = Progress(f"run {run}", schedule.rows_after(schedule.steps) - self.rows)

        def on_step_end(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
            rows, tokens = schedule.rows_after(state.global_step), state.num_input_tokens_seen
            self.progress.advance(rows - self.rows, tokens - self.tokens)
            self.rows, self.tokens = rows, tokens
            if state.global_step == schedule.steps:
                control.should_log = True
            elif time.monotonic() - self.saved >= 60 * minutes:
                control.should_save = True
                self.saved = time.monotonic()

        def on_log(self, _args: Any, state: Any, _control: Any, logs: Any = None, **_: Any) -> None:
            if "loss" in logs:
                step, loss = state.global_step, logs["loss"]
                log.debug("run %s: step %d of %d, loss %.4f", run, step, schedule.steps, loss)

    return Watch()
