"""What a tuned model answers, once for all benchmarks that ask the same with the same sampling."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from preceptor.compute.request import Request
from preceptor.evaluation.items import Item
from preceptor.fingerprint import fingerprint
from preceptor.lake.resume import Chunks, Outcome, Work, complete
from preceptor.lake.schemas import STUDENT_RESPONSES
from preceptor.lake.store import Lake
from preceptor.responses.rows import chunks
from preceptor.study.fields import Sampling
from preceptor.text import digest, repair

if TYPE_CHECKING:
    from preceptor.compute.generation import TransformersGenerator

VERSION = 1
LoadGenerator = Callable[[str, Sampling], "TransformersGenerator"]


@dataclass(frozen=True)
class Checkpoint:
    """A tuned model: what made it, and its folder, asked for only when the model is needed."""

    fingerprint: str
    folder: Callable[[], str]


def answer_items(
    lake: Lake,
    run: str,
    checkpoint: Checkpoint,
    items: Sequence[Item],
    sampling: Sampling,
    load: LoadGenerator,
    rows_per_commit: int,
) -> Outcome:
    """Bring the run's partition of `student_responses` for these prompts to one answer an item.

    The model is loaded only if rows are missing. A prompt that does not fit is a row with an `error`.
    """
    asked = {item.item_id: item for item in sorted(items, key=lambda item: item.item_id)}

    def compute(missing: pl.DataFrame) -> Chunks:
        generator = load(checkpoint.folder(), sampling)
        for chunk in chunks(missing, rows_per_commit):
            yield _answered(generator, [asked[item_id] for item_id in chunk["item_id"]], sampling.seed)

    partition = {"run": run, "items": digest(sampling.model_dump_json(), *asked)}
    made_of = answers_fingerprint(checkpoint.fingerprint, sampling)
    wanted = pl.DataFrame({"item_id": list(asked)}, schema={"item_id": pl.String})
    return complete(lake, Work(STUDENT_RESPONSES, partition, made_of, ("item_id",), wanted), compute)


def answers_fingerprint(checkpoint: str, sampling: Sampling) -> str:
    """Changes with the tuned model and how it decodes."""
    how = sampling.model_dump(exclude={"n"})
    return fingerprint("student_responses", VERSION, checkpoint=checkpoint, sampling=how)


def _answered(generator: "TransformersGenerator", items: list[Item], seed: int) -> pl.DataFrame:
    answers = generator.generate([_request(item, seed) for item in items])
    rows = [
        {
            "item_id": item.item_id,
            "turns": [repair(turn) for turn in answer.turns],
            "finish_reason": answer.finish_reason,
            "prompt_tokens": answer.prompt_tokens,
            "response_tokens": answer.response_tokens,
            "error": answer.error,
        }
        for item, answer in zip(items, answers, strict=True)
    ]
    return pl.DataFrame(rows, schema=STUDENT_RESPONSES.row_schema)


def _request(item: Item, seed: int) -> Request:
    return Request(item.system, item.user, int(digest(str(seed), item.item_id, "0"), 16) >> 1)
