"""The code location: everything that Dagster should know of the study in PRECEPTOR_STUDY."""

import os

import dagster as dg

from assets.base_losses import base_losses
from assets.car_table import car_beta_sweep, car_table
from assets.raw_instructions import raw_instructions
from assets.responses import responses
from assets.rewards import rewards
from assets.selected_subset import selected_subset
from assets.study import STUDY
from resources.generation import GenerationResource
from resources.lake import LakeResource
from resources.loss import LossResource
from resources.reward import RewardResource
from resources.warehouse import WarehouseResource

lake = LakeResource(store=os.environ.get("PRECEPTOR_STORE", "store"), study=STUDY.name)

# A study without recipes has no partition to select, and Dagster refuses an empty partition set.
selection = [selected_subset] if STUDY.recipes else []

defs = dg.Definitions(
    assets=[raw_instructions, responses, rewards, base_losses, car_table, car_beta_sweep, *selection],
    resources={
        "lake": lake,
        "warehouse": WarehouseResource(lake=lake),
        "generation": GenerationResource(),
        "reward": RewardResource(),
        "loss": LossResource(),
    },
)
