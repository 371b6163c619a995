"""A tuning task, its fingerprint, and the machine's settings for it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from preceptor.fingerprint import fingerprint, prompt_identity
from preceptor.study.schema import Base, Study
from preceptor.study.tuning import Run, Tuning
from preceptor.text import digest
from preceptor.tuning.objectives import OBJECTIVES
from preceptor.tuning.objectives.objective import Objective, ObjectiveSettings

VERSION = 4  # 4: no balancing loss for experts; a space that a template adds before an answer is learned
PLAIN_SFT = {"kind": "sft", "version": 1}
CUT = "length"  # the finish_reason of a response that was cut at the token limit


class TuningError(RuntimeError):
    """A run that cannot be tuned. The message names the run and the fix."""


class DivergedError(TuningError):
    """A run whose loss or weights became infinite or NaN. The same settings would fail again."""


@dataclass(frozen=True)
class Task:
    """A run of a study with its base, its hyper-parameters and the rows that its recipe chose."""

    study: str
    run: Run
    base: Base
    tuning: Tuning
    rows: pl.DataFrame  # response_id, teacher, system, user, turns, finish_reason, cut_left_out

    @classmethod
    def of(cls, study: Study, run_name: str, rows: pl.DataFrame) -> "Task":
        """The task of a run."""
        run = study.run(run_name)
        return cls(study.name, run, study.base(run.base), study.tuning(run.tuning), rows)

    @property
    def objective(self) -> Objective:
        """The tuning's objective."""
        return OBJECTIVES[self.tuning.objective.kind]

    @cached_property
    def fingerprint(self) -> str:
        """Changes with the base, its template, the tuning, the seed, the rows and their order."""
        rows = rows_digest(self.rows, self.objective.columns)
        return task_fingerprint(self.base, self.tuning, self.run.seed, rows)


def task_fingerprint(base: Base, tuning: Tuning, seed: int, rows: str) -> str:
    """A task's fingerprint; `rows` is their digest."""
    return fingerprint(
        "tuned_checkpoint",
        VERSION,
        **prompt_identity(base.model, base.revision, base.prompt_format, base.prompt_date),
        base=base.model_dump(include={"dtype", "prompt_format", "max_length"}),
        tuning=tuning.model_dump(exclude={"name", "objective"}),
        seed=seed,
        rows=rows,
        **_objective_part(tuning.objective),
    )


def _objective_part(settings: ObjectiveSettings) -> dict[str, Any]:
    """Empty for plain SFT, so that checkpoints from before objectives existed keep their fingerprints."""
    part = {"kind": settings.kind, "version": OBJECTIVES[settings.kind].version, **settings.identity()}
    return {} if part == PLAIN_SFT else {"objective": part}


def rows_digest(rows: pl.DataFrame, columns: Sequence[str] = ()) -> str:
    """A hash of the conversations, the objective's further columns, their order, and which were cut."""
    texts = rows.select("response_id", "system", "user", "turns", *columns)
    cut = rows.filter(pl.col("finish_reason") == CUT)["response_id"]  # learned without their end of turn
    return digest(*(json.dumps(row) for row in texts.iter_rows()), *cut)


@dataclass(frozen=True)
class Machine:
    """How this machine tunes. These settings change nothing that is learned, except for rounding."""

    device: str = "auto"
    rows_per_device: int = 16
    gradient_checkpointing: bool = False
    minutes_between_checkpoints: float = 10.0
