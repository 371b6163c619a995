"""Train one run on one device. An interrupted run continues from its last checkpoint."""

import json
import logging
import pickle
import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preceptor.tuning.task import DivergedError, TuningError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Training:
    """The result of training. `seconds` and `device` are those of the process that finished it."""

    steps: int
    loss_steps: list[int]
    losses: list[float]
    final_loss: float  # mean over the last epoch's points
    resumed_from: int  # step; 0 for a run that was never interrupted
    device: str
    seconds: float


def train(trainer: Any, run: str) -> Training:
    """Train to the end, from the last complete checkpoint in the trainer's folder, if any.

    Raises TuningError for a loss or weights that are not finite, a damaged checkpoint, or too little GPU
    memory.
    """
    import torch

    started = time.monotonic()
    checkpoint = last_checkpoint(Path(trainer.args.output_dir))
    if checkpoint is not None:
        log.info("run %s: continuing from %s", run, checkpoint)
    try:
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    except pickle.UnpicklingError as error:  # torch's own message explains how to run the code anyway
        raise TuningError(
            f"run {run!r}: a file of the unfinished run's checkpoint {checkpoint} is damaged or contains"
            " code. Remove the checkpoint to start the run again"
        ) from error
    except torch.OutOfMemoryError as error:
        raise TuningError(
            f"run {run!r}: {trainer.args.per_device_train_batch_size} rows at once do not fit in the GPU's"
            " memory; in definitions.py, lower 'rows_per_device' or turn on 'gradient_checkpointing' of"
            " TrainingResource"
        ) from error
    if not all(bool(torch.isfinite(weights).all()) for weights in trainer.model.parameters()):
        raise DivergedError(
            f"run {run!r}: weights are not finite after training; lower the tuning's 'learning_rate'"
        )
    return _training(trainer, 0 if checkpoint is None else _step(checkpoint), time.monotonic() - started)


def _training(trainer: Any, resumed_from: int, seconds: float) -> Training:
    state = trainer.state
    points = [(entry["step"], entry["loss"]) for entry in state.log_history if "loss" in entry]
    last_epoch = [e["loss"] for e in state.log_history if "loss" in e and e["epoch"] > state.epoch - 1]
    return Training(
        steps=state.global_step,
        loss_steps=[step for step, _ in points],
        losses=[loss for _, loss in points],
        final_loss=sum(last_epoch) / len(last_epoch),
        resumed_from=resumed_from,
        device=_device_name(trainer.args.device),
        seconds=seconds,
    )


def last_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint. Incomplete ones, left by a killed process, are removed."""
    complete = []
    for checkpoint in folder.glob("checkpoint-*"):
        if _complete(checkpoint):
            complete.append(checkpoint)
        else:
            shutil.rmtree(checkpoint)
    return max(complete, key=_step, default=None)


def _complete(checkpoint: Path) -> bool:
    """Whether the checkpoint has its state, which the trainer writes last."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _device_name(device: Any) -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device.type)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings of transformers, TRL and peft. This package logs what matters."""
    from transformers.utils import logging as transformers_logging

    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers_logging.set_verbosity(before)
