"""How a base is tuned, and which base is tuned on which recipe's rows."""

from typing import Annotated, Any, Literal

from pydantic import Field

from preceptor.study.fields import BaseName, Frozen, InGrids, Name, Real, RecipeName, TuningName, Whole

Positive = Annotated[Whole, Field(gt=0)]


class Tuning(Frozen):
    """Hyper-parameters of supervised fine-tuning. Without `peft` all weights are tuned.

    `peft` is handed to `peft.get_peft_config` as it is: {peft_type: LORA, r: 16, target_modules: all-linear}.
    """

    name: Name
    epochs: Annotated[Real, Field(gt=0)] = 3.0
    learning_rate: Annotated[Real, Field(gt=0)] = 2e-5
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup: Annotated[Real, Field(ge=0, lt=1)] = 0.03  # share of the steps
    batch_size: Positive = 128  # rows per optimizer step
    weight_decay: Annotated[Real, Field(ge=0)] = 0.0
    max_gradient_norm: Annotated[Real, Field(gt=0)] = 1.0
    max_length: Annotated[Whole, Field(gt=1)] | None = None
    mixed_precision: Literal["no", "bf16"] = "no"
    peft: dict[str, Any] | None = None


class Run(InGrids):
    """One base tuned on one recipe's rows."""

    GRID_NAME = "{base}-{recipe}-{tuning}-seed{seed}"

    name: Name
    base: BaseName
    recipe: RecipeName
    tuning: TuningName
    seed: Annotated[Whole, Field(ge=0)] = 0
