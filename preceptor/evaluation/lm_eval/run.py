"""A model folder on a benchmark, by lm-eval: nothing is fetched, cached, cut or left out silently."""

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

DTYPE = "auto"  # the weights' own


def evaluate_model(preset: Preset, tasks: Mapping[str, Any], model: Any, seed: int) -> list[ItemResult]:
    """What one of lm-eval's LM objects answers on loaded tasks; each item once, or BenchmarkError."""
    from lm_eval.evaluator import evaluate

    with quiet(), _seeded(seed):
        drawn = {name: draw(len(task.eval_docs), preset.limit, seed, name) for name, task in tasks.items()}
        found = evaluate(
            model,
            {"tasks": dict(tasks)},
            samples=drawn,
            cache_requests=False,  # its cache knows neither the model nor the rows
            bootstrap_iters=0,
            log_samples=True,
            apply_chat_template=preset.apply_chat_template,
            fewshot_as_multiturn=False,  # Tülu puts the worked examples into the user's one message
        )
    _account(preset, drawn, found["samples"])
    return item_results(preset, {name: found["samples"][name] for name in tasks})


def draw(items: int, limit: int | None, seed: int, task: str) -> list[int]:
    """The sorted numbers of the items that a task is limited to: a sample of its own for every seed."""
    if limit is None or limit >= items:
        return list(range(items))
    return sorted(Random(digest("items", str(seed), task)).sample(range(items), limit))


def load_model(preset: Preset, folder: str, device: str, batch_size: int, day: date = PROMPT_DATE) -> Any:
    """lm-eval's HFLM on a model folder; BenchmarkError for none, or one that lacks its chat template.

    A template that asks for the date is given that day.
    """
    from lm_eval.models.huggingface import HFLM

    from preceptor.compute.sandbox import clock
    from preceptor.compute.tensors import meta_model
    from preceptor.compute.weights import FolderError

    if not Path(folder).is_dir():
        raise BenchmarkError(
            f"benchmark {preset.name!r}: model {folder!r} is no folder: give one that exists"
        )
    try:
        meta_model(folder, "language model")  # lm-eval would make up at random what is missing
    except FolderError as problem:
        raise BenchmarkError(f"benchmark {preset.name!r}: {problem}") from problem
    with quiet():
        model = HFLM(
            pretrained=folder,
            backend="causal",
            device=device,
            batch_size=batch_size,
            dtype=DTYPE,
            add_bos_token=False if preset.apply_chat_template else None,  # the template writes it, or nobody
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
    """Raises BenchmarkError where a response alone may be as long as all that the model reads."""
    if model.max_length <= _generated_tokens(model, task):
        raise BenchmarkError(
            f"benchmark {preset.name!r}: the model reads {model.max_length} tokens, which leaves none for"
            f" a prompt beside a response of {_generated_tokens(model, task)}: lower response_tokens"
        )


def whole(preset: Preset, result: ItemResult, model: Any, task: Any) -> ItemResult:
    """The result, without outcome where lm-eval could not show the model the whole prompt.

    Raises BenchmarkError where the chat template lost the task's description, its system message.
    """
    prompt, description = result.prompt[0], task.config.description.strip()
    if "{" not in description and description not in prompt:  # a description may be a template of its own
        raise BenchmarkError(
            f"benchmark {preset.name!r}: the model's chat template leaves out the system message, in which"
            f" task {result.task!r} says {description!r}: let the template show it"
        )
    tokens = len(model.tok_encode(prompt))
    room = model.max_length - _generated_tokens(model, task) - _choice_tokens(model, result)
    if tokens <= room:
        return result
    error = (
        f"the prompt has {tokens} tokens, but the model reads {room} beside the response: use fewer shots or"
        " a shorter response"
    )
    return replace(result, outcome=None, error=error)


def _generated_tokens(model: Any, task: Any) -> int:
    if task.OUTPUT_TYPE != "generate_until":
        return 0
    return int(task.config.generation_kwargs.get("max_gen_toks", model.max_gen_toks))


def _choice_tokens(model: Any, result: ItemResult) -> int:
    """What the model reads of the longest choice: its last token is only predicted."""
    lengths = [len(model.tok_encode(choice, add_special_tokens=False)) for choice in result.choices]
    return max(lengths, default=1) - 1


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """torch's random numbers are the seed's meanwhile, for tasks that sample, and go on as before after."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
