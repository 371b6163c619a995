"""Rows of `student_responses`: a tuned model's answers to a benchmark's prompts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from preceptor.compute.request import Generation, Request
from preceptor.evaluation.items import Item
from preceptor.evaluation.job import Declared, EvaluationJob
from preceptor.fingerprint import fingerprint
from preceptor.lake.resume import Outcome, Rows, Work, complete
from preceptor.lake.schemas import STUDENT_RESPONSES
from preceptor.study.fields import Sampling
from preceptor.text import digest, repair

VERSION = 4  # 4: prompts include the words that open an answer
KEY = {"item_id": pl.String, "sample": pl.Int32}


@dataclass(frozen=True)
class Asked:
    """How a tuned model is asked: with which sampling, and in which prompt format."""

    sampling: Sampling
    prompt_format: str = "own"


def answer_items(job: EvaluationJob[Declared], items: Sequence[Item], how: Asked) -> Outcome:
    """Complete the run's partition of `student_responses` for these prompts: n answers for each item.

    The model is loaded only if rows are missing. A prompt that is too long becomes a row with an `error`.
    """
    asked = {item.item_id: item for item in items}

    def compute(missing: pl.DataFrame) -> Rows:
        folder = job.checkpoint.folder()
        generator = job.engines.generator(folder, how.sampling, how.prompt_format)
        keys = list(missing.iter_rows())
        requests = [_request(asked[item_id], sample, how.sampling.seed) for item_id, sample in keys]
        try:
            for number, answer in generator.stream(requests):
                item_id, sample = keys[number]
                yield _row(item_id, sample, answer)
        finally:
            generator.close()

    work = Work(
        STUDENT_RESPONSES,
        {"run": job.run, "items": _items_identity(how, list(asked))},
        answers_fingerprint(job.checkpoint.fingerprint, how),
        tuple(KEY),
        sample_keys(sorted(asked), how.sampling.n),
        job.retry_failed,
    )
    return complete(job.lake, work, compute)


def sample_keys(item_ids: Sequence[str], samples: int) -> pl.DataFrame:
    """A row for each item and sample. An item's samples are neighbours, so engines can draw them together."""
    keys = [(item_id, sample) for item_id in item_ids for sample in range(samples)]
    return pl.DataFrame(keys, schema=KEY, orient="row")


def answers_fingerprint(checkpoint: str, how: Asked) -> str:
    """Changes with the tuned model, its prompt format and its decoding."""
    return fingerprint(
        "student_responses",
        VERSION,
        checkpoint=checkpoint,
        sampling=how.sampling.model_dump(exclude={"n"}),
        prompt_format=how.prompt_format,
    )


def _items_identity(how: Asked, item_ids: list[str]) -> str:
    """The partition's name. Benchmarks with the same prompts and sampling share their answers."""
    return digest(how.sampling.model_dump_json(), how.prompt_format, *sorted(item_ids))


def _row(item_id: str, sample: int, answer: Generation) -> dict[str, Any]:
    return {
        "item_id": item_id,
        "sample": sample,
        "turns": [repair(turn) for turn in answer.turns],
        "finish_reason": answer.finish_reason,
        "prompt_tokens": answer.prompt_tokens,
        "response_tokens": answer.response_tokens,
        "error": answer.error,
    }


def _request(item: Item, sample: int, seed: int) -> Request:
    """A sample's request. Samples of one prompt have consecutive seeds, so engines can draw them together."""
    return Request(item.system, item.user, (int(digest(str(seed), item.item_id, "0"), 16) >> 2) + sample)
