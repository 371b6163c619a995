"""What a run can be tuned for: the table of objectives. To add one, write its file here and its line below.

Studies are checked against this table, so nothing here imports torch, TRL or polars before it is used.
"""

from preceptor.tuning.objectives.objective import Objective
from preceptor.tuning.objectives.sft import SFT

OBJECTIVES: dict[str, Objective] = {"sft": SFT}
