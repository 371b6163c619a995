"""Tune a base model with TRL's trainers, in this process."""

import json
from typing import Any

import dagster as dg
import polars as pl

from preceptor.lake.resume import Outcome
from preceptor.lake.store import Lake
from preceptor.study.schema import Study
from preceptor.tuning.task import Machine
from preceptor.tuning.tune import tune
from resources.gpu import claim_gpus


class TrainingResource(dg.ConfigurableResource):
    """Settings for tuning on this machine. They change the result by rounding at most."""

    device: str = "auto"
    rows_per_device: int = 16
    gradient_checkpointing: bool = False
    minutes_between_checkpoints: float = 10.0

    def tune(self, lake: Lake, study: Study, run: str, rows: pl.DataFrame, read: dict[str, int]) -> Outcome:
        """Complete a run's partition of `tuned_checkpoint`."""
        claim_gpus(self.device)
        machine = Machine(
            self.device, self.rows_per_device, self.gradient_checkpointing, self.minutes_between_checkpoints
        )
        return tune(lake, study, run, rows, read, machine)

    def manifest(self, outcome: Outcome) -> dict[str, Any]:
        """The manifest that is written beside a run's weights."""
        manifest: dict[str, Any] = json.loads(outcome.rows["manifest"][0])
        return manifest
