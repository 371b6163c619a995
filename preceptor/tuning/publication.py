"""The check before publishing: on training rows, the saved folder must have the trainer's loss."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preceptor.study.schema import Base
from preceptor.study.tuning import Tuning
from preceptor.tuning.examples import IGNORED, Example
from preceptor.tuning.objectives.objective import Objective
from preceptor.tuning.task import Task, TuningError

ROWS = 8
LONGEST = 2048  # tokens; the logits of longer rows can be larger than the model
EXACT = 0.001, 0.001  # nats, share of the loss; float32 sums in another order
ROUNDED = 0.02, 0.05  # nats, share; 16-bit types keep 8 to 11 bits, and merging and saving round again


@dataclass(frozen=True)
class Publication:
    """The compared losses in nats per token. `adapter_loss` is that of the base with the saved adapter."""

    rows: int
    trainer_loss: float
    published_loss: float
    adapter_loss: float | None
    tolerance: float


class PublicationError(TuningError):
    """A saved model that differs from the trained one."""


def rows_to_compare(examples: Sequence[Example]) -> list[Example]:
    """The first rows of at most LONGEST tokens, or else the shortest row."""
    short = [example for example in examples if len(example.ids) <= LONGEST]
    return short[:ROWS] or [min(examples, key=lambda example: len(example.ids))]


def trainer_loss(trainer: Any, objective: Objective, rows: Sequence[Example]) -> float:
    """Mean loss of the rows' learned tokens, computed by the trainer as in training, without dropout.

    If the objective has another loss, this one is computed from the trained model's logits.
    """
    import torch

    trainer.model.eval()

    def one(row: Example) -> float:
        with torch.no_grad(), trainer.compute_loss_context_manager():
            if not objective.loss_of_tokens:
                return _token_loss(trainer.model, row)
            batch = trainer.data_collator([objective.features(row)])
            return float(trainer.compute_loss(trainer.model, trainer._prepare_inputs(batch)))

    return _mean(rows, one)


def compare(
    task: Task, folder: Path, adapter: Path | None, rows: Sequence[Example], trained: float, device: str
) -> Publication:
    """Load the folder as its users will, and compare its loss with the trainer's.

    A saved adapter is put on the plain base and compared too. Raises PublicationError if either loss differs
    by more than the tolerance.
    """
    from preceptor.compute.load import release_memory

    base = task.base
    published = _loss_of(_load(str(folder), "main", base, device), rows)
    release_memory()
    beside = None if adapter is None else _loss_of(_with_adapter(adapter, base, device), rows)
    release_memory()
    bound = tolerance(base, task.tuning, trained)
    found = Publication(len(rows), trained, published, beside, bound)
    for what, loss in (("the saved model", published), ("the base with the saved adapter", beside)):
        if loss is not None and not abs(loss - trained) <= bound:  # also refuses NaN
            raise PublicationError(
                f"run {task.run.name!r}: {what} differs from the trained model: on {len(rows)} training rows"
                f" its loss is {loss:.4g} nats per token, the trainer's {trained:.4g} (they may differ by"
                f" {bound:.2g}). Nothing is published; {_cure(task)}"
            )
    return found


def tolerance(base: Base, tuning: Tuning, loss: float) -> float:
    """How far the losses may differ, given the rounding in computing and saving."""
    exact = base.dtype == "float32" and tuning.mixed_precision == "no"
    nats, share = EXACT if exact else ROUNDED
    return nats + share * loss


def _cure(task: Task) -> str:
    if task.tuning.peft is not None:
        return f"change the settings in tunings.{task.tuning.name}.peft, or tune all weights"
    if task.base.dtype != "float32":
        return f"if rounding is the reason, set bases.{task.base.name}.dtype to float32"
    return (
        f"transformers does not save the architecture of bases.{task.base.name} as trained; use another base"
    )


def _loss_of(model: Any, rows: Sequence[Example]) -> float:
    import torch

    with torch.inference_mode():
        return _mean(rows, lambda row: _token_loss(model, row))


def _token_loss(model: Any, row: Example) -> float:
    import torch

    ids = torch.tensor([row.ids], device=model.device)
    labels = torch.tensor(row.labels[1:], device=model.device)
    logits = model(input_ids=ids).logits[0, :-1].float()
    return float(torch.nn.functional.cross_entropy(logits, labels, ignore_index=IGNORED))


def _load(model: str, revision: str, base: Base, device: str) -> Any:
    from preceptor.compute.load import load_causal_lm

    return load_causal_lm(model, revision, base.dtype, device)


def _with_adapter(adapter: Path, base: Base, device: str) -> Any:
    from peft import PeftModel

    return PeftModel.from_pretrained(_load(base.model, base.revision, base, device), str(adapter)).eval()


def _mean(rows: Sequence[Example], loss: Callable[[Example], float]) -> float:
    """Mean loss over the learned tokens of all rows. Nothing predicts the first token of a row."""
    counts = [sum(label != IGNORED for label in row.labels[1:]) for row in rows]
    losses = [loss(row) for row, count in zip(rows, counts, strict=True) if count]
    sums = [value * count for value, count in zip(losses, filter(None, counts), strict=True)]
    return math.fsum(sums) / sum(counts) if any(counts) else math.nan
