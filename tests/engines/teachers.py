"""The demo's teachers and instructions, and vLLM with settings for tests."""

import json
import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from preceptor.compute.request import Generation, Request
from preceptor.engines.vllm_generator import Machine, VllmGenerator

DEMO = Path(__file__).parents[2] / "studies" / "demo"
SMALL = str(DEMO / "teachers" / "llama-small")
LARGE = str(DEMO / "teachers" / "llama-large")
MACHINE = Machine(enforce_eager=True, start_seconds=900, silent_seconds=300)
FORBIDDEN = "forbidden"
POISON = "~"  # one token, which no instruction contains


def instructions(count=600) -> list[str]:
    lines = (DEMO / "instructions.jsonl").read_text().splitlines()[:count]
    return [json.loads(line)["instruction"] for line in lines]


def requests(count=600) -> list[Request]:
    return [Request(None, (text,), seed=100 * number) for number, text in enumerate(instructions(count))]


def vllm(model, decoding, adapter=None, max_length=None) -> VllmGenerator:
    return VllmGenerator(model, "main", "float32", "own", max_length, None, adapter, 1, decoding, MACHINE)


def picky(folder: Path) -> str:
    """A copy of the small teacher. Its template refuses a word; its defaults would change greedy answers."""
    shutil.copytree(SMALL, folder)
    template = (folder / "chat_template.jinja").read_text()
    refusal = f"{{% if '{FORBIDDEN}' in m['content'] %}}{{{{ raise_exception('not that') }}}}{{% endif %}}"
    loop = "{% for m in messages %}"
    (folder / "chat_template.jinja").write_text(template.replace(loop, loop + refusal))
    defaults = json.loads((folder / "generation_config.json").read_text())
    defaults |= {"repetition_penalty": 1.8, "temperature": 0.7, "top_k": 3, "do_sample": True}
    (folder / "generation_config.json").write_text(json.dumps(defaults))
    return str(folder)


def poisoned(folder: Path) -> str:
    """A copy of the small teacher in which the embedding of POISON is NaN."""
    shutil.copytree(SMALL, folder)
    tensors = load_file(folder / "model.safetensors")
    token = Tokenizer.from_file(str(folder / "tokenizer.json")).token_to_id(POISON)
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    tensors["model.embed_tokens.weight"][token] = float("nan")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text()) | {"tie_word_embeddings": False}
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


def stream(generator, asked) -> list[Generation]:
    """Answers in the order of the requests; fails where a row comes twice or not at all."""
    found: dict[int, Generation] = {}
    for number, answer in generator.stream(asked):
        assert number not in found
        found[number] = answer
    return [found[number] for number in range(len(asked))]
