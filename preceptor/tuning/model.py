"""Load a base for tuning, with or without an adapter, and save the student for every engine."""

from pathlib import Path
from typing import Any

from preceptor.compute.conversation import template_of
from preceptor.study.schema import Base
from preceptor.tuning.adapter import adapted
from preceptor.tuning.task import Task, TuningError

# Configuration fields that TRL and transformers change in training. The pad token may have no embedding.
TRAINERS = "output_router_logits", "router_aux_loss_coef", "pad_token_id", "bos_token_id", "eos_token_id"
ADAPTER = "adapter"  # folder of the adapter's weights, beside the merged model


def load_model(task: Task) -> Any:
    """The base in float32 if all weights are tuned, else in its own dtype with a new adapter.

    In 16 bits, rounding would lose most of a step's changes (master weights, arXiv 1710.03740, section 3.1).
    """
    from transformers import GenerationConfig

    from preceptor.compute.load import load_causal_lm

    base, tuned_whole = task.base, task.tuning.peft is None
    dtype = "float32" if tuned_whole else base.dtype
    model = load_causal_lm(base.model, base.revision, dtype, "cpu")
    model.generation_config = GenerationConfig()  # a base's sampling defaults are not the student's
    return model if tuned_whole else _with_adapter(model, task)


def _with_adapter(model: Any, task: Task) -> Any:
    from transformers import set_seed

    set_seed(task.run.seed)  # an adapter starts with random weights
    return adapted(model, task.tuning, task.base.name)


def merged(model: Any, task: Task, folder: Path) -> Any:
    """The model with its adapter merged. The adapter itself is saved in the folder's `adapter/`.

    A model without an adapter is returned unchanged. Raises TuningError if PEFT cannot merge the adapter.
    """
    from peft import PeftModel

    if not isinstance(model, PeftModel):
        return model
    model.save_pretrained(folder / ADAPTER)
    (folder / ADAPTER / "README.md").unlink()  # an empty model card
    try:
        return model.merge_and_unload()
    except Exception as error:
        raise TuningError(
            f"tunings.{task.tuning.name}.peft: the adapter cannot be merged into the weights: {error}"
        ) from error


def save_model(model: Any, tokenizer: Any, base: Base, end: int, context: int, folder: Path) -> None:
    """Write a model folder: safetensors in the base's dtype, tokenizer and chat template.

    `generation_config.json` names the end-of-turn token, so that transformers and vLLM stop there.
    """
    import torch

    from preceptor.compute.vocabulary import embedding_rows

    _restore(model.config, base)
    model.generation_config = _generation_config(tokenizer, end, embedding_rows(model))
    model.to(getattr(torch, base.dtype)).save_pretrained(folder)
    tokenizer.chat_template = template_of(tokenizer, base.prompt_format).source
    tokenizer.model_max_length = context
    tokenizer.save_pretrained(folder)


def _restore(config: Any, base: Base) -> None:
    """Undo the trainer's changes to the configuration."""
    from transformers import AutoConfig

    config.use_cache = True
    text = config.get_text_config()
    before = AutoConfig.from_pretrained(base.model, revision=base.revision).get_text_config().to_dict()
    for name in TRAINERS:
        if name in before:
            setattr(text, name, before[name])


def _generation_config(tokenizer: Any, end: int, rows: int) -> Any:
    from transformers import GenerationConfig

    stops = [end, *(token for token in (tokenizer.eos_token_id,) if token not in (None, end))]
    pad = tokenizer.pad_token_id
    known = pad is not None and pad < rows  # a pad token may have no embedding
    return GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=stops, pad_token_id=pad if known else end
    )
