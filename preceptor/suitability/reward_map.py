"""How a reward model's score of a response becomes the reward that is averaged: one expression for all.

Rankings read it with Polars, reports with DuckDB: both understand this SQL and give the same digits.
"""

from preceptor.study.schema import RewardMap

IDENTITY = "reward"
SIGMOID = "1 / (1 + exp(-reward))"


def reward_expression(reward_map: RewardMap) -> str:
    """SQL over a column `reward`, of one row alone: never of which other teachers are present."""
    match reward_map.kind:
        case "sigmoid":
            return SIGMOID
        case "affine":
            return f"{_double(reward_map.shift)} + {_double(reward_map.scale)} * reward"
        case _:
            return IDENTITY


def _double(number: float) -> str:
    """A number that neither engine takes for a decimal, which would be rounded."""
    return f"CAST('{number!r}' AS DOUBLE)"
