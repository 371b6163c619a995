"""Tiny random-weight models, built in memory, and small studies: what most tests stand on."""

import itertools
import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read once, when huggingface_hub is imported

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    LlamaConfig,
    PreTrainedTokenizerFast,
)

from preceptor import soundness
from preceptor.lake.store import Lake
from preceptor.rewards import score_cache

torch.set_num_threads(1)  # tiny models run best on one
# How long an example takes is the machine's affair.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a story keep the order of their file; all others come in another order each time."""
    stories: dict[Path, list[int]] = {}
    for place, item in enumerate(items):
        if item.get_closest_marker("story"):
            stories.setdefault(item.path, []).append(place)
    for places in stories.values():
        told = sorted(
            (items[place] for place in places), key=lambda item: item.function.__code__.co_firstlineno
        )
        for place, item in zip(places, told, strict=True):
            items[place] = item


@pytest.fixture(autouse=True)
def nothing_is_known_to_be_sound(tmp_path_factory, monkeypatch):
    """Each test checks for itself, and leaves nothing in the user's folder."""
    own = tmp_path_factory.getbasetemp() / "sound" / str(next(NUMBERS))
    monkeypatch.setattr(soundness, "cache_folder", lambda: own)


@pytest.fixture(autouse=True)
def no_scores_kept_elsewhere(tmp_path_factory, monkeypatch):
    """Files of scores are kept in a folder of the tests' own, not in the user's."""
    monkeypatch.setattr(score_cache, "cache_folder", lambda: tmp_path_factory.getbasetemp() / "cache")


NUMBERS = itertools.count()
REAL_DATA = Path(os.environ.get("PRECEPTOR_DATA", Path(__file__).parents[2] / "shared" / "data"))


def byte_tokenizer(bos: bool = True, eos: bool = True, pad: bool = False, template: str | None = None):
    """A byte-level tokenizer with merges for a few words; specials only as asked for."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = ["th", "he", "in", "er", "an", "re"]
    vocabulary = {token: number for number, token in enumerate([*alphabet, *words])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [(word[0], word[1]) for word in words]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = {}
    for name, wanted in (("bos_token", bos), ("eos_token", eos), ("pad_token", pad)):
        if wanted:
            special[name] = f"<|{name[:3]}|>"
            tokenizer.add_special_tokens([special[name]])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
    fast.chat_template = template
    return fast


def tiny_config(vocabulary: int, context: int = 128, **settings) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=context,
        **settings,
    )


def save_language_model(folder: Path, context: int = 128, seed: int = 0, **tokenizer_settings) -> str:
    """A random Llama folder; weights are scaled up so that its distributions are far from uniform."""
    tokenizer = byte_tokenizer(**tokenizer_settings)
    torch.manual_seed(seed)
    ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    model = AutoModelForCausalLM.from_config(tiny_config(len(tokenizer), context, **ids))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def save_classifier(folder: Path, labels: int = 1, context: int = 128, **tokenizer_settings) -> str:
    tokenizer = byte_tokenizer(**tokenizer_settings)
    torch.manual_seed(1)
    config = tiny_config(len(tokenizer), context, num_labels=labels, pad_token_id=tokenizer.pad_token_id)
    model = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="session")
def base_model(tmp_path_factory) -> str:
    return save_language_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def teacher_model(tmp_path_factory) -> str:
    return save_language_model(tmp_path_factory.mktemp("teacher"), seed=2, template=CHATML)


@pytest.fixture(scope="session")
def reward_model(tmp_path_factory) -> str:
    return save_classifier(tmp_path_factory.mktemp("reward"), template=CHATML)


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(str(tmp_path / "store"), "test")
