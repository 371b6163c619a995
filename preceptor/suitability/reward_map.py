"""Maps a reward model's score to the reward that is averaged, with one SQL expression.

Rankings evaluate it with Polars and reports with DuckDB. Both give the same digits.
"""

from preceptor.study.schema import RewardMap

IDENTITY = "reward"
SIGMOID = "1 / (1 + exp(-reward))"


def reward_expression(reward_map: RewardMap) -> str:
    """SQL over the column `reward` of one row; it does not depend on other teachers."""
    match reward_map.kind:
        case "sigmoid":
            return SIGMOID
        case "affine":
            return f"{_double(reward_map.shift)} + {_double(reward_map.scale)} * reward"
        case _:
            return IDENTITY


def _double(number: float) -> str:
    """A number that no engine parses as a decimal, which would be rounded."""
    return f"CAST('{number!r}' AS DOUBLE)"
