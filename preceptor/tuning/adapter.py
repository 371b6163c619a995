"""Put PEFT adapters on a base, and test them on a base without weights before anything is computed."""

import re
import typing
import warnings
from pathlib import Path
from typing import Any

from preceptor.study.schema import Base
from preceptor.study.tuning import Tuning
from preceptor.tuning.adapter_settings import PATTERNS, adapter_config, problem, reason_of, refused
from preceptor.tuning.task import TuningError


def adapted(model: Any, tuning: Tuning, base: str) -> Any:
    """The model with a new adapter. Raises TuningError, which names the field, for unused settings."""
    from peft import get_peft_model

    config = adapter_config(tuning)
    _refuse_unmatched(tuning, model, base)
    tied = _tied(model)
    try:
        wrapped = get_peft_model(model, config)
    except Exception as error:
        raise refused(tuning, error) from error
    _refuse_embedding_adapters(tuning, wrapped, base, tied)
    _refuse_unused_patterns(tuning, wrapped, base)
    if not any(weights.requires_grad for weights in wrapped.parameters()):
        raise problem(tuning, None, f"no weight of base {base!r} would be tuned")
    return wrapped


def try_adapter(base: Base, tuning: Tuning) -> None:
    """Put an adapter on a local base without weights and merge it. Nothing is trained.

    Raises TuningError for an adapter that cannot be created, used or merged. The run itself checks three
    cases: a base on a hub, one that cannot be built without weights, and adapters that start from weights.
    """
    model = _skeleton(base) if Path(base.model).is_dir() else None
    if model is None:
        adapter_config(tuning)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # every real problem is an error below
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
            reason = reason_of(error) or type(error).__name__
            raise problem(
                tuning, None, f"on base {base.name!r} the adapter cannot be {doing}: {reason}"
            ) from error


def _learn(model: Any) -> None:
    import torch

    tokens = torch.zeros((1, 2), dtype=torch.long, device="meta")
    model(input_ids=tokens, labels=tokens).loss.backward()


def _learns(model: Any) -> bool:
    """Whether the base can compute a loss without its weights; a mixture of experts cannot."""
    try:
        _learn(model)
    except Exception:
        return False
    return True


def _skeleton(base: Base) -> Any | None:
    """The base on torch's meta device: all modules, without weights."""
    from preceptor.compute.tensors import meta_model
    from preceptor.compute.weights import FolderError

    try:
        return meta_model(base.model, "language model")
    except FolderError:  # the check of bases reports it
        return None


def _unless_weightless(step: typing.Callable[[], Any]) -> Any | None:
    """The step's result; None if it needs weights, which the meta device does not have."""
    try:
        return step()
    except Exception as error:
        cause = error.__cause__ if isinstance(error, TuningError) else error
        if isinstance(cause, NotImplementedError | RuntimeError) and "meta" in str(cause):
            return None
        raise


def _refuse_unmatched(tuning: Tuning, model: Any, base: str) -> None:
    """Refuse names that match no module. PEFT ignores them as long as another name matches."""
    settings = tuning.peft or {}
    modules = [name for name, _ in model.named_modules()]
    parameters = [name for name, _ in model.named_parameters()]
    known = dict.fromkeys(("target_modules", "modules_to_save", "exclude_modules"), modules)
    for field, there in {**known, "target_parameters": parameters}.items():
        names = settings.get(field)
        for name in names if isinstance(names, list | tuple) else []:
            if not any(found == name or found.endswith(f".{name}") for found in there):
                what = "module" if there is modules else "parameter"
                raise problem(tuning, field, f"base {base!r} has no {what} {name!r}")
    layers = settings.get("layers_to_transform")
    for layer in layers if isinstance(layers, list) else [] if layers is None else [layers]:
        if not any(f".{layer}." in f".{module}." for module in modules):
            raise problem(tuning, "layers_to_transform", f"base {base!r} has no layer {layer}")
    for field in PATTERNS:
        for pattern in settings.get(field) or {}:
            if not any(_fits(pattern, module) for module in [*modules, *parameters]):
                raise problem(tuning, field, f"base {base!r} has no module {pattern!r}")


def _refuse_unused_patterns(tuning: Tuning, model: Any, base: str) -> None:
    """Refuse a pattern that changes nothing because no module that it matches has an adapter."""
    from peft.tuners.lora.layer import ParamWrapper
    from peft.tuners.tuners_utils import BaseTunerLayer

    adapted = []
    for name, module in model.named_modules():
        if isinstance(module, BaseTunerLayer):
            own = re.sub(r"^base_model\.model\.|\.base_layer(?=\.|$)", "", name)
            adapted += [
                own,
                *([f"{own}.{module.parameter_name}"] if isinstance(module, ParamWrapper) else []),
            ]
    for field in PATTERNS:
        for pattern in (tuning.peft or {}).get(field) or {}:
            if not any(_fits(pattern, module) for module in adapted):
                raise problem(
                    tuning, field, f"no module of base {base!r} that matches {pattern!r} has an adapter"
                )


def _fits(pattern: str, module: str) -> bool:
    """Whether a pattern matches a module, by PEFT's rule."""
    return re.match(rf"(?:.*\.)?(?:{pattern})$", module) is not None


def _tied(model: Any) -> bool:
    """Whether the output layer and the embeddings are the same matrix."""
    output = model.get_output_embeddings()
    return output is not None and output.weight is model.get_input_embeddings().weight


def _refuse_embedding_adapters(tuning: Tuning, model: Any, base: str, tied: bool) -> None:
    """Refuse adapters on embeddings or output layer that training ignores or that cannot be merged."""
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import ModulesToSaveWrapper

    ends = {"embeddings": model.get_input_embeddings(), "output layer": model.get_output_embeddings()}
    for what, module in ends.items():
        field = "modules_to_save" if isinstance(module, ModulesToSaveWrapper) else "target_modules"
        if not isinstance(module, BaseTunerLayer | ModulesToSaveWrapper):
            continue
        if tied:
            raise problem(
                tuning,
                field,
                f"base {base!r} has one matrix as embeddings and output layer; an adapter on its {what}"
                " cannot be merged into both; remove it",
            )
        if what == "output layer" and isinstance(module, BaseTunerLayer):
            raise problem(
                tuning,
                field,
                "TRL's loss ignores an adapter on the output layer; remove it from target_modules",
            )
