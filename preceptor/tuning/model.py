"""The model that is tuned: loaded with or without an adapter, saved so that every engine can load it."""

import re
from pathlib import Path
from typing import Any

from preceptor.compute.conversation import template_of
from preceptor.study.schema import Base
from preceptor.study.tuning import Tuning
from preceptor.tuning.task import Task, TuningError

ADAPTER = "adapter"  # folder of the adapter's own weights, beside the merged model


def load_model(task: Task) -> Any:
    """The base's weights, in float32 where they are all tuned, else in its dtype behind a fresh adapter.

    In 16 bits most of a step's changes would round away (master weights, arXiv 1710.03740, section 3.1).
    """
    from transformers import GenerationConfig

    from preceptor.compute.load import load_causal_lm

    base, tuned_whole = task.base, task.tuning.peft is None
    dtype = "float32" if tuned_whole else base.dtype
    model = load_causal_lm(base.model, base.revision, dtype, "cpu")
    model.generation_config = GenerationConfig()  # a base's sampling defaults are not the student's
    return model if tuned_whole else _with_adapter(model, task)


def adapter_config(tuning: Tuning) -> Any:
    """PEFT's configuration of a tuning. Raises TuningError for what peft does not know."""
    from peft import get_peft_config

    settings = tuning.peft or {}
    try:
        config = get_peft_config({"task_type": "CAUSAL_LM", **settings})
        if config.is_prompt_learning:
            raise ValueError(f"{settings['peft_type']} cannot be merged into the weights; LORA can")
    except Exception as error:
        raise TuningError(f"tunings.{tuning.name}.peft: {_reason(error)}") from error
    return config


def _with_adapter(model: Any, task: Task) -> Any:
    from peft import get_peft_model
    from transformers import set_seed

    set_seed(task.run.seed)  # an adapter begins with random weights
    config = adapter_config(task.tuning)
    try:
        adapted = get_peft_model(model, config)
        _refuse_adapted_head(adapted)
    except Exception as error:
        raise TuningError(f"tunings.{task.tuning.name}.peft: {_reason(error)}") from error
    return adapted


def _refuse_adapted_head(model: Any) -> None:
    from peft.tuners.tuners_utils import BaseTunerLayer

    if isinstance(model.get_output_embeddings(), BaseTunerLayer):
        raise ValueError("TRL's loss passes the output layer's adapter by: take it out of target_modules")


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return "'peft_type' is missing or none that peft knows; LORA is the usual one"
    return re.sub(r"^\w+\.__init__\(\) got an ", "", str(error))


def save_model(model: Any, tokenizer: Any, base: Base, end: int, context: int, folder: Path) -> None:
    """Write a plain model folder of safetensors in the base's dtype, with tokenizer and chat template.

    An adapter is kept in `adapter/`, and merged into the weights. `generation_config.json` names
    the end-of-turn token, so that transformers and vLLM stop there.
    """
    import torch
    from peft import PeftModel

    if isinstance(model, PeftModel):
        model.save_pretrained(folder / ADAPTER)
        (folder / ADAPTER / "README.md").unlink()  # an empty form
        model = model.merge_and_unload()
    model.config.use_cache = True  # the trainer turns it off
    model.generation_config = _generation_config(tokenizer, end)
    model.to(getattr(torch, base.dtype)).save_pretrained(folder)
    tokenizer.chat_template = template_of(tokenizer, base.prompt_format).source
    tokenizer.model_max_length = context
    tokenizer.save_pretrained(folder)


def _generation_config(tokenizer: Any, end: int) -> Any:
    from transformers import GenerationConfig

    stops = [end, *(token for token in (tokenizer.eos_token_id,) if token not in (None, end))]
    pad = end if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    return GenerationConfig(bos_token_id=tokenizer.bos_token_id, eos_token_id=stops, pad_token_id=pad)
