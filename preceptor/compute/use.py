"""What a model is wanted for, said without torch: to import that takes seconds."""

from dataclasses import dataclass
from typing import Literal

Head = Literal["language model", "classifier"]


@dataclass(frozen=True)
class Use:
    """What a model is wanted for, and a LoRA folder that goes with it.

    `own_code`: its head is Python beside the weights, which only a load runs. `max_length` is what the study
    says of its context, in tokens. `label`: which of a classifier's is the reward.
    """

    head: Head
    prompt_format: str
    vllm: bool = False
    own_code: bool = False
    adapter: str | None = None
    max_length: int | None = None
    label: int | None = None
