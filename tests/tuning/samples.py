"""Bases whose tokenizers end turns, conversations of every kind, and studies that tune on them."""

from pathlib import Path

import polars as pl
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from preceptor.compute.conversation import template_of
from preceptor.compute.load import context_length, load_tokenizer
from preceptor.study.schema import Study
from preceptor.tuning.examples import end_of_turn, make_examples
from preceptor.tuning.model import load_model
from preceptor.tuning.task import Machine, Task
from preceptor.tuning.trainer import make_trainer
from tests.conftest import byte_tokenizer, tiny_config

SCHEMA = {
    "response_id": pl.String,
    "instruction_id": pl.String,
    "teacher": pl.String,
    "system": pl.String,
    "user": pl.List(pl.String),
    "turns": pl.List(pl.String),
    "finish_reason": pl.String,
    "cut_left_out": pl.Int64,
}
# Conversations: system prompt, user turns, assistant turns.
SINGLE = (None, ("Where is the rain?",), ("In the north.",))
SYSTEM = ("Be brief.", ("Hi",), ("Hello there",))
MULTI = (None, ("One?", "Two?", "Three?"), ("first answer", "then", "the end"))
UNICODE = ("Ünïcode", ("日本語?", "👍"), ("naïve — 日本", "\u2028 and 👍🏽 here"))
BLANKS = (None, ("q",), ("  indented\n\n",))
LONG = (None, ("a longer question " * 4,), ("and a longer answer in here " * 6,))
LONG_TURNS = ("Answer.", ("begin " * 9, "again"), ("short", "the rest " * 20))
KINDS = [SINGLE, SYSTEM, MULTI, UNICODE, BLANKS, LONG, LONG_TURNS]


def rows(conversations, endings=None) -> pl.DataFrame:
    columns = [
        [f"r{number}" for number in range(len(conversations))],
        [f"i{number}" for number in range(len(conversations))],
        ["teacher"] * len(conversations),
        *(list(column) for column in zip(*conversations, strict=True)),
        endings or ["stop"] * len(conversations),
        [0] * len(conversations),
    ]
    return pl.DataFrame(columns, schema=SCHEMA)


EIGHT = rows([(None, (f"Say {n}",), (f"{n} is the answer",)) for n in "abcdefgh"])


def save_base(folder: Path, *tokens: str, context: int = 128, seed: int = 0, **tokenizer_settings) -> str:
    """A random Llama folder whose tokenizer has further special tokens; weights as they are initialised."""
    tokenizer = byte_tokenizer(**tokenizer_settings)
    tokenizer.add_special_tokens({"additional_special_tokens": list(tokens)})
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(tiny_config(len(tokenizer), context))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def study(model: str, seed: int = 0, base: dict | None = None, **tuning) -> Study:
    """One teacher, one base, one recipe, and a run `run` of it under these hyper-parameters."""
    settings = {"name": "settings", "epochs": 1, "batch_size": 4, "learning_rate": 1e-3, **tuning}
    return Study.model_validate(
        {
            "name": "test",
            "instructions": {"sources": [{"name": "source", "dataset": "not/read"}]},
            "teachers": [{"name": "teacher", "engine": "transformers", "model": model}],
            "bases": [{"name": "base", "model": model, **(base or {})}],
            "reward_models": [{"name": "reward", "engine": "sequence_classification", "model": model}],
            "recipes": [{"kind": "teacher", "name": "all", "teacher": "teacher"}],
            "tunings": [settings],
            "runs": [{"name": "run", "base": "base", "recipe": "all", "tuning": "settings", "seed": seed}],
        }
    )


def at_rate(declared: Study, rate: float) -> Study:
    """The study with a learning rate that no file may ask for: it diverges at once."""
    tuning = declared.tunings[0].model_copy(update={"learning_rate": rate})
    return declared.model_copy(update={"tunings": (tuning,)})


def trainer_of(study: Study, chosen: pl.DataFrame, work: Path, machine: Machine | None = None):
    """The trainer that `tune` would use, and its examples."""
    task = Task.of(study, "run", chosen)
    tokenizer = load_tokenizer(task.base.model, "main")
    end = end_of_turn(tokenizer, task.base.prompt_format, "base")
    model = load_model(task)
    length = min(context_length(model, task.base.max_length), task.tuning.max_length or 10**9)
    examples = make_examples(tokenizer, template_of(tokenizer, task.base.prompt_format), chosen, length, end)
    return make_trainer(task, model, tokenizer, examples, machine or Machine("cpu"), work), examples


def weights(folder: str) -> dict[str, torch.Tensor]:
    """All tensors of a model folder."""
    return load_file(Path(folder) / "model.safetensors")


def furthest(one: str, other: str) -> float:
    """The largest difference between two model folders' weights."""
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    return max(float((first[name].float() - second[name].float()).abs().max()) for name in first)
