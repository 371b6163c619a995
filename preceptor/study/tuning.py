"""How a base is tuned, and which base is tuned on which recipe's rows."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationInfo, WithJsonSchema

from preceptor.study.fields import Frozen, Name, Real, Whole
from preceptor.tuning.objectives import OBJECTIVES
from preceptor.tuning.objectives.objective import ObjectiveSettings
from preceptor.tuning.objectives.sft import Sft

Positive = Annotated[Whole, Field(gt=0)]


def _objective(value: Any, info: ValidationInfo) -> Any:
    """The settings of an objective that is given by its name, or as a mapping with its name as `kind`."""
    given = value if isinstance(value, dict) else {"kind": value}
    if isinstance(value, ObjectiveSettings):
        return value
    kind = given.get("kind")
    if not isinstance(kind, str) or kind not in OBJECTIVES:
        names = ", ".join(OBJECTIVES)
        raise ValueError(f"allowed are {names}, or settings with one of these as 'kind'")
    settings = OBJECTIVES[kind].settings
    if unknown := given.keys() - settings.model_fields.keys():
        known = ", ".join(settings.model_fields)
        raise ValueError(f"objective {kind!r} has no setting {min(unknown, key=str)!r}: known are {known}")
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

    `peft` is handed to `peft.get_peft_config` as it is: {peft_type: LORA, r: 16, target_modules: all-linear}.
    """

    name: Name
    # Plain SFT is not written out: studies and fingerprints from before there were objectives stay the same.
    objective: Annotated[AnyObjective, Field(exclude_if=lambda value: value == Sft())] = Sft()
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


class Run(Frozen):
    """One base tuned on one recipe's rows."""

    name: Name
    base: str
    recipe: str
    tuning: str
    seed: Annotated[Whole, Field(ge=0)] = 0
