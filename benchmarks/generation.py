"""Responses from vLLM through our engine into a lake, against one raw `LLM.chat` call on the same prompts.

    python benchmarks/generation.py [--prompts 2000] [--runs 3] [--teacher studies/demo/teachers/llama-large]
    … --random-weights      random weights of the teacher's shape, whose answers rarely end before 80 tokens

Both sides run in new processes, one after the other, with the same engine settings and greedy decoding.
The time is from the first request to the last row, without starting the engine. Our side also commits every
256 rows to a Delta lake in that time; publishing the partition afterwards is reported separately.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from preceptor.compute.request import Decoding, Generation, Request
from preceptor.engines.vllm_generator import Machine, VllmGenerator
from preceptor.lake.store import Lake
from preceptor.responses.generate import generate_responses
from preceptor.study.fields import Sampling
from preceptor.study.teachers import VllmTeacher
from preceptor.text import digest

DEMO = Path(__file__).parent.parent / "studies" / "demo"
NEW_TOKENS = 80
CHARACTERS = 420  # so that prompt and answer fit into the 256 tokens of the demo's teachers
MACHINE = Machine(enforce_eager=True)
SIDES = ("preceptor", "raw")


def prompts(count: int) -> list[str]:
    """One to six of the demo's instructions in one prompt, so that lengths are mixed."""
    lines = (DEMO / "instructions.jsonl").read_text().splitlines()
    texts = [json.loads(line)["instruction"] for line in lines]
    generator = random.Random(0)
    joined = ["\n".join(generator.choices(texts, k=generator.randint(1, 6))) for _ in range(count)]
    return [text[:CHARACTERS] for text in joined]


class Timed:
    """A started engine that records the times of the first request and of the last row."""

    def __init__(self, generator: VllmGenerator) -> None:
        self.generator, self.facts = generator, generator.facts
        self.first = self.last = 0.0

    def stream(self, requests: Sequence[Request]) -> Iterator[tuple[int, Generation]]:
        """The engine's rows."""
        self.first = time.perf_counter()
        for row in self.generator.stream(requests):
            self.last = time.perf_counter()
            yield row

    def close(self) -> None:
        """Do nothing: the caller closes the engine."""


def preceptor_side(teacher: VllmTeacher, texts: list[str]) -> dict[str, object]:
    """Our side: `generate_responses`, as in the asset."""
    ids = [digest(f"{number}") for number in range(len(texts))]
    columns = {"instruction_id": ids, "prompt_hash": ids, "system": None, "turns": [[text] for text in texts]}
    wanted = pl.DataFrame(columns, schema_overrides={"system": pl.String})
    settings = teacher.model_dump(
        include={"model", "revision", "dtype", "prompt_format", "max_length", "quantization", "adapter"}
    )
    decoding = Decoding(max_new_tokens=NEW_TOKENS)
    generator = VllmGenerator(**settings, tensor_parallel_size=1, decoding=decoding, machine=MACHINE)
    timed = Timed(generator)
    try:
        with tempfile.TemporaryDirectory() as store:
            outcome = generate_responses(Lake(store, "benchmark"), teacher, wanted, lambda _: timed)
            published = time.perf_counter()
    finally:
        generator.close()
    rows = outcome.rows
    assert rows["error"].null_count() == rows.height, rows["error"].drop_nulls()[0]
    return {
        "seconds": timed.last - timed.first,
        "published": published - timed.first,
        "tokens": rows["response_tokens"].sum(),
        "texts": rows["turns"].list.first().to_list(),
    }


def raw_side(teacher: VllmTeacher, texts: list[str]) -> dict[str, object]:
    """Peer: vLLM's offline interface, which returns when all rows are finished."""
    from transformers import AutoConfig
    from vllm import LLM, SamplingParams

    from preceptor.engines.messages import Settings
    from preceptor.engines.vllm_engine import engine_arguments

    settings = Settings(
        teacher.model,
        teacher.revision,
        teacher.dtype,
        teacher.prompt_format,
        None,
        None,
        None,
        1,
        Decoding(),
        MACHINE.memory_share,
        MACHINE.prefix_caching,
        MACHINE.enforce_eager,
    )
    context = AutoConfig.from_pretrained(teacher.model).max_position_embeddings
    engine = LLM(**engine_arguments(settings, context))
    conversations = [[{"role": "user", "content": text}] for text in texts]
    parameters = SamplingParams(temperature=0, max_tokens=NEW_TOKENS)
    started = time.perf_counter()
    outputs = engine.chat(conversations, parameters, use_tqdm=False)
    seconds = time.perf_counter() - started
    # vLLM decodes token by token, which differs for bytes that are not text. Here both are decoded at once.
    whole = [engine.get_tokenizer().decode(o.outputs[0].token_ids, skip_special_tokens=True) for o in outputs]
    return {
        "seconds": seconds,
        "published": seconds,
        "tokens": sum(len(output.outputs[0].token_ids) for output in outputs),
        "texts": whole,
    }


def measure(side: str, options: argparse.Namespace) -> dict[str, object]:
    """One run of a side in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, __file__, "--side", side, "--result", str(result)]
        command += ["--prompts", str(options.prompts), "--teacher", options.teacher]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            sys.exit(f"{side} failed:\n{done.stdout[-3000:]}")
        found: dict[str, object] = json.loads(result.read_text())
    return found


def random_weights(teacher: str, folder: Path) -> str:
    """A model with the teacher's shape, tokenizer and template, and random weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    shutil.copytree(teacher, folder)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(teacher)).save_pretrained(folder)
    return str(folder)


def compare(options: argparse.Namespace) -> None:
    """Print a Markdown table."""
    print("| run | Preceptor, tokens/s | and published | raw vLLM, tokens/s | ratio | ratio, published |")
    print("| --- | --- | --- | --- | --- | --- |")
    ratios, published, same = [], [], []
    for run in range(options.runs):
        order = SIDES if run % 2 == 0 else SIDES[::-1]
        found = {side: measure(side, options) for side in order}
        ours, raw = found["preceptor"], found["raw"]
        rates = [ours["tokens"] / ours[clock] for clock in ("seconds", "published")]
        peer = raw["tokens"] / raw["seconds"]
        ratios.append(rates[0] / peer)
        published.append(rates[1] / peer)
        same.append(sum(a == b for a, b in zip(ours["texts"], raw["texts"], strict=True)))
        print(
            f"| {run + 1} | {rates[0]:,.0f} | {rates[1]:,.0f} | {peer:,.0f}"
            f" | {ratios[-1]:.3f} | {published[-1]:.3f} |"
        )
    print(f"| median | | | | {statistics.median(ratios):.3f} | {statistics.median(published):.3f} |")
    print(f"\n{options.prompts:,} prompts, {raw['tokens']:,} response tokens")
    print(f"the same texts: {', '.join(f'{n:,}' for n in same)} of {options.prompts:,}")


def main() -> None:
    """Compare, or run one side and write its measurement."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--prompts", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--teacher", default=str(DEMO / "teachers" / "llama-large"))
    parser.add_argument("--random-weights", action="store_true")
    parser.add_argument("--side", choices=SIDES)
    parser.add_argument("--result", type=Path)
    options = parser.parse_args()
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")  # GiB; vLLM on a GPU ignores it
    if options.side is None:
        with tempfile.TemporaryDirectory() as folder:
            if options.random_weights:
                options.teacher = random_weights(options.teacher, Path(folder) / "teacher")
            compare(options)
        return
    sampling = Sampling(max_new_tokens=NEW_TOKENS)
    model = str(Path(options.teacher).absolute())
    teacher = VllmTeacher(name="teacher", engine="vllm", model=model, dtype="float32", sampling=sampling)
    side = preceptor_side if options.side == "preceptor" else raw_side
    options.result.write_text(json.dumps(side(teacher, prompts(options.prompts))))


if __name__ == "__main__":
    main()
