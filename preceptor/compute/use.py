"""The intended use of a model. Does not import torch, which takes seconds."""

from dataclasses import dataclass
from typing import Literal

Head = Literal["language model", "classifier"]


@dataclass(frozen=True)
class Use:
    """The intended use of a model, and the folder of its LoRA adapter if it has one.

    `own_code`: the head is Python code shipped with the weights, which only a load runs. `max_length`: the
    study's limit on the context, in tokens. `label`: the classifier label that is the reward.
    """

    head: Head
    prompt_format: str
    vllm: bool = False
    own_code: bool = False
    adapter: str | None = None
    max_length: int | None = None
    label: int | None = None
