"""Tuning settings, and runs: which base is tuned on which recipe's rows."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationInfo, WithJsonSchema

from preceptor.study.fields import BaseName, Frozen, InGrids, Name, Real, RecipeName, TuningName, Whole
from preceptor.tuning.objectives import OBJECTIVES
from preceptor.tuning.objectives.objective import ObjectiveSettings
from preceptor.tuning.objectives.sft import Sft

Positive = Annotated[Whole, Field(gt=0)]


def _objective(value: Any, info: ValidationInfo) -> Any:
    """The settings of an objective, given by its name or as a mapping with its name as `kind`."""
    given = value if isinstance(value, dict) else {"kind": value}
    if isinstance(value, ObjectiveSettings):
        return value
    kind = given.get("kind")
    if not isinstance(kind, str) or kind not in OBJECTIVES:
        names = ", ".join(OBJECTIVES)
        raise ValueError(f"must be one of {names}, or a mapping of settings with one of these as 'kind'")
    settings = OBJECTIVES[kind].settings
    if unknown := given.keys() - settings.model_fields.keys():
        known = ", ".join(settings.model_fields)
        raise ValueError(
            f"objective {kind!r} has no setting {min(unknown, key=str)!r}; known settings are {known}"
        )
    return settings.model_validate(given, context=info.context)


NAMES = {"enum": [*OBJECTIVES]}
AnyObjective = Annotated[
    SerializeAsAny[ObjectiveSettings],
    BeforeValidator(_objective),
    WithJsonSchema(
        {"anyOf": [NAMES, {"type": "object", "properties": {"kind": NAMES}, "required": ["kind"]}]}
    ),
]


class Tuning(Frozen):
    """A base's objective and hyper-parameters. Without `peft` all weights are tuned.

    `peft` is passed to `peft.get_peft_config`, such as {peft_type: LORA, r: 16, target_modules: all-linear}.
    """

    name: Name
    """Runs refer to it."""
    # Plain SFT is left out of dumps, so that studies and fingerprints older than objectives stay the same.
    objective: Annotated[AnyObjective, Field(exclude_if=lambda value: value == Sft())] = Sft()
    """The training objective: a name, or a mapping with `kind` and the objective's settings."""
    epochs: Annotated[Real, Field(gt=0)] = 3.0
    """Passes over the rows."""
    learning_rate: Annotated[Real, Field(gt=0)] = 2e-5
    """The peak learning rate."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """The schedule of the learning rate after warm-up."""
    warmup: Annotated[Real, Field(ge=0, lt=1)] = 0.03
    """The share of the steps in which the learning rate rises."""
    batch_size: Positive = 128
    """Rows per optimizer step."""
    weight_decay: Annotated[Real, Field(ge=0)] = 0.0
    max_gradient_norm: Annotated[Real, Field(gt=0)] = 1.0
    max_length: Annotated[Whole, Field(gt=1)] | None = None
    """The longest row in tokens; the base's context by default."""
    mixed_precision: Literal["no", "bf16"] = "no"
    """`bf16` computes in 16-bit precision."""
    peft: dict[str, Any] | None = None
    """Settings of an adapter, passed to PEFT unchanged."""


class Run(InGrids):
    """One base tuned on one recipe's rows."""

    GRID_NAME = "{base}-{recipe}-{tuning}-seed{seed}"

    name: Name
    """The run's name; results are stored under it."""
    base: BaseName
    """The base to tune."""
    recipe: RecipeName
    """The recipe whose rows it is tuned on."""
    tuning: TuningName
    """The hyper-parameters."""
    seed: Annotated[Whole, Field(ge=0)] = 0
    """The seed for the order of rows and for new weights."""
