"""The code location: Dagster's definitions for the study in PRECEPTOR_STUDY."""

import os

import dagster as dg

from assets.base_losses import base_losses
from assets.base_results import base_results
from assets.car_table import car_beta_sweep, car_table
from assets.eval_results import eval_results
from assets.ownership import owned
from assets.raw_instructions import raw_instructions
from assets.responses import responses
from assets.rewards import rewards
from assets.selected_subset import selected_subset
from assets.study import STUDY
from assets.study_report import study_report
from assets.suitability import suitability
from assets.tuned_checkpoint import tuned_checkpoint
from jobs.alerts import alerts
from jobs.audit_job import audit
from jobs.processes import end_with_parent
from jobs.schedules import rescore_weekly
from jobs.sensors import automation, dead_runs, study_members
from preceptor.lake.store import store_root
from resources.evaluation import EvaluationResource
from resources.generation import GenerationResource
from resources.lake import LakeResource
from resources.loss import LossResource
from resources.reward import RewardResource
from resources.training import TrainingResource
from resources.warehouse import WarehouseResource

end_with_parent()  # steps of a killed run end too

lake = LakeResource(store=store_root(), study=STUDY.name)
retry_failed = bool(os.environ.get("PRECEPTOR_RETRY_FAILED"))

# Dagster rejects an empty partition set, so these assets exist only if the study has partitions for them.
selection = [selected_subset] if STUDY.recipes else []
tuning = [tuned_checkpoint] if STUDY.runs else []
evaluation = [base_results, eval_results] if STUDY.runs and STUDY.evaluations else []

defs = dg.Definitions(
    assets=owned(
        [
            raw_instructions,
            responses,
            rewards,
            base_losses,
            car_table,
            car_beta_sweep,
            suitability,
            *selection,
            *tuning,
            *evaluation,
            study_report,
        ]
    ),
    jobs=[audit],
    # Each run computes one partition in its own process. If that process dies, Dagster retries the run, which
    # resumes from its last commit.
    executor=dg.in_process_executor,
    sensors=[study_members, automation, alerts, dead_runs],
    schedules=[rescore_weekly],
    resources={
        "lake": lake,
        "warehouse": WarehouseResource(lake=lake),
        "generation": GenerationResource(retry_failed=retry_failed),
        "reward": RewardResource(retry_failed=retry_failed),
        "loss": LossResource(retry_failed=retry_failed),
        "training": TrainingResource(),
        "evaluation": EvaluationResource(retry_failed=retry_failed),
    },
)
