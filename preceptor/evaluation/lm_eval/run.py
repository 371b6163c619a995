"""Runs a model folder on a benchmark with lm-eval, without downloads, caches or silent truncation."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

from preceptor.compute.chat_template import PROMPT_DATE
from preceptor.evaluation.lm_eval.package import quiet
from preceptor.evaluation.lm_eval.presets import Preset
from preceptor.evaluation.lm_eval.responses import ItemResult, item_results
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.text import digest

DTYPE = "auto"  # the dtype of the weights


def evaluate_model(preset: Preset, tasks: Mapping[str, Any], model: Any, seed: int) -> list[ItemResult]:
    """The results of one of lm-eval's LM objects on loaded tasks. Raises BenchmarkError for missing items."""
    from lm_eval.evaluator import evaluate

    with quiet(), _seeded(seed):
        drawn = {name: draw(len(task.eval_docs), preset.limit, seed, name) for name, task in tasks.items()}
        found = evaluate(
            model,
            {"tasks": dict(tasks)},
            samples=drawn,
            cache_requests=False,  # the key of its cache includes neither the model nor the rows
            bootstrap_iters=0,
            log_samples=True,
            apply_chat_template=preset.apply_chat_template,
            fewshot_as_multiturn=False,  # Tülu puts the worked examples into one user message
        )
    _account(preset, drawn, found["samples"])
    return item_results(preset, {name: found["samples"][name] for name in tasks})


def draw(items: int, limit: int | None, seed: int, task: str) -> list[int]:
    """The sorted indices of a task's limited items, drawn by the seed."""
    if limit is None or limit >= items:
        return list(range(items))
    return sorted(Random(digest("items", str(seed), task)).sample(range(items), limit))


def load_model(preset: Preset, folder: str, device: str, batch_size: int, day: date = PROMPT_DATE) -> Any:
    """lm-eval's HFLM on a model folder. A template that asks for the date gets `day`.

    Raises BenchmarkError for a missing folder, or a missing chat template.
    """
    from lm_eval.models.huggingface import HFLM

    from preceptor.compute.sandbox import clock
    from preceptor.compute.tensors import meta_model
    from preceptor.compute.weights import FolderError

    if not Path(folder).is_dir():
        raise BenchmarkError(
            f"benchmark {preset.name!r}: model {folder!r} is not a folder: use an existing one"
        )
    try:
        meta_model(folder, "language model")  # lm-eval would fill missing weights with random values
    except FolderError as problem:
        raise BenchmarkError(f"benchmark {preset.name!r}: {problem}") from problem
    with quiet():
        model = HFLM(
            pretrained=folder,
            backend="causal",
            device=device,
            batch_size=batch_size,
            dtype=DTYPE,
            add_bos_token=False if preset.apply_chat_template else None,  # the template adds its own
            chat_template_args={"strftime_now": clock(day)},  # instead of transformers' own
        )
    if preset.apply_chat_template and model.tokenizer.chat_template is None:
        raise BenchmarkError(
            f"benchmark {preset.name!r}: the tokenizer in {folder} has no chat template: save one with the"
            " model, or set apply_chat_template to false"
        )
    return model


def _account(preset: Preset, drawn: Mapping[str, list[int]], samples: Mapping[str, Any]) -> None:
    for task, wanted in drawn.items():
        found = sorted({entry["doc_id"] for entry in samples.get(task, ())})
        if found != wanted:
            raise BenchmarkError(
                f"benchmark {preset.name!r}: lm-eval returned {len(found)} of the {len(wanted)} items of task"
                f" {task!r}: run it again, and report it if that repeats"
            )


def check_room(preset: Preset, model: Any, task: Any) -> None:
    """Raise BenchmarkError if a response alone may fill the model's context."""
    if model.max_length <= _generated_tokens(model, task):
        raise BenchmarkError(
            f"benchmark {preset.name!r}: the model's context of {model.max_length} tokens has no room for a"
            f" prompt beside a response of {_generated_tokens(model, task)}: lower response_tokens"
        )


def whole(preset: Preset, result: ItemResult, model: Any, task: Any) -> ItemResult:
    """The result, with an error instead of an outcome if the prompt did not fit into the context.

    Raises BenchmarkError if the chat template dropped the task's description (its system message).
    """
    prompt, description = result.prompt[0], task.config.description.strip()
    if "{" not in description and description not in prompt:  # a description may itself be a template
        raise BenchmarkError(
            f"benchmark {preset.name!r}: the model's chat template drops the system message, with the"
            f" description {description!r} of task {result.task!r}: use a template that includes it"
        )
    tokens = len(model.tok_encode(prompt))
    room = model.max_length - _generated_tokens(model, task) - _choice_tokens(model, result)
    if tokens <= room:
        return result
    error = (
        f"the prompt has {tokens} tokens, but the model has room for {room} beside the response: use fewer"
        " shots or a shorter response"
    )
    return replace(result, outcome=None, error=error)


def _generated_tokens(model: Any, task: Any) -> int:
    if task.OUTPUT_TYPE != "generate_until":
        return 0
    return int(task.config.generation_kwargs.get("max_gen_toks", model.max_gen_toks))


def _choice_tokens(model: Any, result: ItemResult) -> int:
    """The tokens of the longest choice that are in the context: all but the last, which is only predicted."""
    lengths = [len(model.tok_encode(choice, add_special_tokens=False)) for choice in result.choices]
    return max(lengths, default=1) - 1


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed torch inside the block, for tasks that sample. The previous state is restored afterwards."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
