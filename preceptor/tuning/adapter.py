"""Adapters: PEFT's settings checked by field, put on a base, and tried on it before anything is computed."""

import re
import typing
import warnings
from pathlib import Path
from typing import Any

from preceptor.study.schema import Base
from preceptor.study.tuning import Tuning
from preceptor.tuning.task import TuningError

# What PEFT takes, and what cannot become one merged model beside an adapter that fits the untouched base.
NEVER = {
    "trainable_token_indices": "single tokens' embeddings cannot be tuned by TRL's loss",
    "alora_invocation_tokens": "an adapter that waits for a token cannot be merged into the weights",
    "layer_replication": "the merged model would have more layers than its configuration says",
    "arrow_config": "a router of adapters cannot be merged into the weights",
    "megatron_config": "no Megatron layers are tuned here",
    "inference_mode": "an adapter in inference mode is not tuned",
    "base_model_name_or_path": "the run's base says which model is tuned",
    "revision": "the run's base says which model is tuned",
}
STARTS = (True, False, "gaussian", "orthogonal")  # the others need data, or change the base under the adapter


def adapter_config(tuning: Tuning) -> Any:
    """PEFT's configuration of a tuning. Raises TuningError, by field, for what cannot be used."""
    from peft import get_peft_config
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    settings = tuning.peft or {}
    name = str(settings.get("peft_type"))
    kind = {str(known.value): config for known, config in PEFT_TYPE_TO_CONFIG_MAPPING.items()}.get(name)
    if name == "TRAINABLE_TOKENS":
        raise _problem(tuning, "peft_type", f"{NEVER['trainable_token_indices']}; LORA is the usual one")
    if kind is None:
        raise _problem(tuning, "peft_type", "missing, or none that peft knows; LORA is the usual one")
    _refuse_fields(tuning, settings, kind)
    try:
        config = get_peft_config({"task_type": "CAUSAL_LM", **settings})
    except Exception as error:  # each kind of adapter has its own ways to refuse
        raise _refused(tuning, error) from error
    if config.is_prompt_learning:
        raise _problem(
            tuning, "peft_type", f"{settings['peft_type']} cannot be merged into the weights; LORA can"
        )
    return config


def adapted(model: Any, tuning: Tuning, base: str) -> Any:
    """The model behind a fresh adapter. Raises TuningError, by field, where it would not be what it seems."""
    from peft import get_peft_model

    config = adapter_config(tuning)
    _refuse_unmatched(tuning, [name for name, _ in model.named_modules()], base)
    tied = _tied(model)
    try:
        wrapped = get_peft_model(model, config)
    except Exception as error:
        raise _refused(tuning, error) from error
    _refuse_ends(tuning, wrapped, base, tied)
    if not any(weights.requires_grad for weights in wrapped.parameters()):
        raise _problem(tuning, None, f"no weight of base {base!r} would be tuned")
    return wrapped


def try_adapter(base: Base, tuning: Tuning) -> None:
    """Put an adapter on a local base without its weights, train nothing, and merge it.

    Raises TuningError for what cannot be made, used or merged. A base on a hub, and one that cannot be built
    without its weights, is left to its step; so are methods that compute their start from the weights.
    """
    model = _skeleton(base) if Path(base.model).is_dir() else None
    if model is None:
        adapter_config(tuning)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what matters is an error here
        _try_on(model, base, tuning)


def _try_on(model: Any, base: Base, tuning: Tuning) -> None:
    learns = _learns(model)
    wrapped = _unless_weightless(lambda: adapted(model, tuning, base.name))
    if wrapped is None:
        return
    steps = {"used": lambda: _learn(wrapped)} if learns else {}
    for doing, step in {**steps, "merged into the weights": wrapped.merge_and_unload}.items():
        try:
            _unless_weightless(step)
        except Exception as error:
            reason = _reason(error) or type(error).__name__
            raise _problem(tuning, None, f"on base {base.name!r} it cannot be {doing}: {reason}") from error


def _learn(model: Any) -> None:
    import torch

    tokens = torch.zeros((1, 2), dtype=torch.long, device="meta")
    model(input_ids=tokens, labels=tokens).loss.backward()


def _learns(model: Any) -> bool:
    """Whether the bare base can do without numbers: where it cannot (experts), nor can its adapter."""
    try:
        _learn(model)
    except Exception:
        return False
    return True


def _skeleton(base: Base) -> Any | None:
    """The base on torch's meta device: every module, and no numbers."""
    from preceptor.compute.tensors import meta_model
    from preceptor.compute.weights import FolderError

    try:
        return meta_model(base.model, "language model")
    except FolderError:  # which is told where bases are checked
        return None


def _unless_weightless(step: typing.Callable[[], Any]) -> Any | None:
    """What the step returns; None where it asked for the numbers that a skeleton has not."""
    try:
        return step()
    except Exception as error:
        cause = error.__cause__ if isinstance(error, TuningError) else error
        if isinstance(cause, NotImplementedError | RuntimeError) and "meta" in str(cause):
            return None
        raise


def _refuse_fields(tuning: Tuning, settings: dict[str, Any], kind: type) -> None:
    from pydantic import TypeAdapter, ValidationError

    hints = typing.get_type_hints(kind)
    for field, value in settings.items():
        if field not in hints:
            raise _problem(tuning, str(field), f"peft's {kind.__name__} has no such setting")
        if field in NEVER and value:
            raise _problem(tuning, field, f"{NEVER[field]}: leave it out")
        if field == "task_type" and value != "CAUSAL_LM":
            raise _problem(tuning, field, f"{value!r} is not what is tuned: leave it out")
        if field == "init_lora_weights":
            if value not in STARTS:
                start = f"{value!r} needs data or changes the base's weights under the adapter"
                raise _problem(tuning, field, f"{start}; set true, gaussian or orthogonal")
            continue
        hint = float | hints[field] if field.endswith("alpha") else hints[field]  # peft says int, takes both
        try:
            TypeAdapter(hint).validate_python(value, strict=True)
        except ValidationError as error:
            wrong = error.errors()[0]["msg"]
            raise _problem(tuning, field, f"{value!r} cannot be used: {wrong}") from error


def _refuse_unmatched(tuning: Tuning, modules: list[str], base: str) -> None:
    """PEFT passes over a name that no module has, as long as another one matches."""
    settings = tuning.peft or {}
    for field in ("target_modules", "modules_to_save", "exclude_modules"):
        names = settings.get(field)
        for name in names if isinstance(names, list | tuple) else []:
            if not any(module == name or module.endswith(f".{name}") for module in modules):
                raise _problem(tuning, field, f"base {base!r} has no module {name!r}")
    for field in ("rank_pattern", "alpha_pattern"):
        for pattern in settings.get(field) or {}:
            if not any(re.fullmatch(rf"(?:.*\.)?(?:{pattern})", module) for module in modules):
                raise _problem(tuning, field, f"base {base!r} has no module {pattern!r}")


def _tied(model: Any) -> bool:
    """Whether the output layer is the embeddings."""
    output = model.get_output_embeddings()
    return output is not None and output.weight is model.get_input_embeddings().weight


def _refuse_ends(tuning: Tuning, model: Any, base: str, tied: bool) -> None:
    """Adapters on the embeddings or the output layer that would be lost, or move the other one too."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import ModulesToSaveWrapper

    ends = {"embeddings": model.get_input_embeddings(), "output layer": model.get_output_embeddings()}
    for what, module in ends.items():
        field = "modules_to_save" if isinstance(module, ModulesToSaveWrapper) else "target_modules"
        if not isinstance(module, BaseTunerLayer | ModulesToSaveWrapper):
            continue
        if tied:
            raise _problem(
                tuning,
                field,
                f"base {base!r} has one matrix as embeddings and output layer, and an adapter on its {what}"
                " cannot be merged into both: take it out",
            )
        if what == "output layer" and isinstance(module, BaseTunerLayer):
            raise _problem(
                tuning,
                field,
                "TRL's loss passes the output layer's adapter by: take it out of target_modules",
            )


def _refused(tuning: Tuning, error: Exception) -> TuningError:
    """PEFT's own refusal, with the setting that it names, if it names one."""
    reason = _reason(error)
    words = reason.replace("Target modules", "`target_modules`").replace("dropout prob", "`lora_dropout`")
    named = [field for field in tuning.peft or {} if re.search(rf"[`']{re.escape(str(field))}[`']", words)]
    return _problem(tuning, named[0] if named else None, reason)


def _problem(tuning: Tuning, field: str | None, reason: str) -> TuningError:
    return TuningError(f"tunings.{tuning.name}.peft{f'.{field}' if field else ''}: {reason}")


def _reason(error: Exception) -> str:
    return re.sub(r"^\w+\.__init__\(\) got an ", "", " ".join(str(error).split())) or type(error).__name__
