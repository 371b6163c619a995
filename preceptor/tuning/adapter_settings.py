"""Check PEFT's settings of an adapter field by field, without the base."""

import re
import typing
from typing import Any

from preceptor.study.tuning import Tuning
from preceptor.tuning.task import TuningError

# PEFT accepts these, but they do not give both a merged model and an adapter that fits the plain base.
NEVER = {
    "trainable_token_indices": "TRL's loss cannot tune embeddings of single tokens",
    "alora_invocation_tokens": "an adapter that a token switches on cannot be merged into the weights",
    "layer_replication": "the merged model would have more layers than its configuration states",
    "arrow_config": "a router of adapters cannot be merged into the weights",
    "megatron_config": "tuning of Megatron layers is not supported",
    "loftq_config": "it starts from quantized weights instead of the base's",
    "use_qalora": "it is for quantized bases, whose tuning is not supported",
    "inference_mode": "an adapter in inference mode cannot be tuned",
    "base_model_name_or_path": "the run's 'base' sets the model that is tuned",
    "revision": "the run's 'base' sets the model that is tuned",
}
PATTERNS = ("rank_pattern", "alpha_pattern")
STARTS = (True, False, "gaussian", "orthogonal")  # other values need data or change the base's weights


def adapter_config(tuning: Tuning) -> Any:
    """PEFT's configuration of a tuning. Raises TuningError, which names the field, for a bad setting."""
    from peft import get_peft_config
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    settings = tuning.peft or {}
    name = str(settings.get("peft_type"))
    kind = {str(known.value): config for known, config in PEFT_TYPE_TO_CONFIG_MAPPING.items()}.get(name)
    if name == "TRAINABLE_TOKENS":
        raise problem(tuning, "peft_type", f"{NEVER['trainable_token_indices']}; the usual type is LORA")
    if kind is None:
        raise problem(
            tuning, "peft_type", "must be a type of adapter that peft knows; the usual type is LORA"
        )
    _refuse_fields(tuning, settings, kind)
    try:
        config = get_peft_config({"task_type": "CAUSAL_LM", **settings})
    except Exception as error:  # each type of adapter raises its own errors
        raise refused(tuning, error) from error
    if config.is_prompt_learning:
        raise problem(
            tuning, "peft_type", f"{settings['peft_type']} cannot be merged into the weights; use LORA"
        )
    return config


def _refuse_fields(tuning: Tuning, settings: dict[str, Any], kind: type) -> None:
    from pydantic import TypeAdapter, ValidationError

    hints = typing.get_type_hints(kind)
    for field, value in settings.items():
        if field not in hints:
            raise problem(tuning, str(field), f"peft's {kind.__name__} has no such setting")
        if field in NEVER and value:
            raise problem(tuning, field, f"{NEVER[field]}; remove it")
        if field == "task_type" and value != "CAUSAL_LM":
            raise problem(tuning, field, f"{value!r} is not supported; remove it")
        if field == "init_lora_weights":
            if value not in STARTS:
                start = f"{value!r} needs data or changes the base's weights"
                raise problem(tuning, field, f"{start}; set it to true, gaussian or orthogonal")
            continue
        # peft declares int for alpha but accepts float too.
        hint = float | hints[field] if field.endswith("alpha") else hints[field]
        try:
            TypeAdapter(hint).validate_python(value, strict=True)
        except ValidationError as error:
            wrong = error.errors()[0]["msg"]
            raise problem(tuning, field, f"{value!r} cannot be used: {wrong}") from error
        if value is not None:
            _refuse_values(tuning, field, value)


def _refuse_values(tuning: Tuning, field: str, value: Any) -> None:
    """Refuse invalid regular expressions, ranks below 1, and scales that switch an adapter off."""
    named = PATTERNS if isinstance(value, dict) else ("target_modules", "exclude_modules")
    patterns = list(value) if isinstance(value, dict) else [value]
    for pattern in patterns if field in named else []:
        try:
            re.compile(pattern if isinstance(pattern, str) else "")
        except re.error as error:
            raise problem(tuning, field, f"{pattern!r} is not a regular expression: {error}") from error
    for number in value.values() if isinstance(value, dict) and field in PATTERNS else [value]:
        if field == "rank_pattern" and number < 1:
            raise problem(tuning, field, f"the rank {number} must be at least 1")
        if field in ("lora_alpha", "alpha", "alpha_pattern") and number <= 0:
            raise problem(tuning, field, f"{number} switches the adapter off; it must be above 0")


def refused(tuning: Tuning, error: Exception) -> TuningError:
    """PEFT's own error as a TuningError, at the setting that it names if it names one."""
    reason = reason_of(error)
    words = reason.replace("Target modules", "`target_modules`").replace("dropout prob", "`lora_dropout`")
    named = [field for field in tuning.peft or {} if re.search(rf"[`']{re.escape(str(field))}[`']", words)]
    return problem(tuning, named[0] if named else None, reason)


def problem(tuning: Tuning, field: str | None, reason: str) -> TuningError:
    """A TuningError that begins with the field."""
    return TuningError(f"tunings.{tuning.name}.peft{f'.{field}' if field else ''}: {reason}")


def reason_of(error: Exception) -> str:
    """An error's text on one line."""
    return re.sub(r"^\w+\.__init__\(\) got an ", "", " ".join(str(error).split())) or type(error).__name__
