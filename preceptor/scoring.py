"""The loop that losses and rewards share. Each response gets a score or an error, committed at once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import polars as pl

from preceptor.compute.conversation import Conversation
from preceptor.lake.resume import Outcome, Rows, Work, complete
from preceptor.lake.schemas import Table
from preceptor.lake.store import Lake, Partition
from preceptor.progress import Engine, keep_facts
from preceptor.responses.rows import with_prompts

IDENTITY = ("response_id", "instruction_id", "sample")


class ScoringEngine(Engine, Protocol):
    """An engine that scores conversations."""

    def stream(self, conversations: Sequence[Conversation]) -> Iterator[tuple[int, Any]]:
        """Yield (conversation number, score) as scores finish, in any order, each once.

        A score is a dataclass. Its fields are the table's columns other than IDENTITY; one is `error`.
        """


def scoring_work(
    table: Table,
    partition: Partition,
    fingerprint: str,
    responses: pl.DataFrame,
    instructions: pl.DataFrame,
    retry_failed: bool,
) -> Work:
    """The work of writing one row per response to these instructions to a table of scores."""
    wanted = with_prompts(responses, instructions)
    return Work(table, partition, fingerprint, ("response_id", "instruction_id"), wanted, retry_failed)


def score_responses(lake: Lake, work: Work, load: Callable[[], ScoringEngine]) -> Outcome:
    """Complete a partition: per response a score, or the reason why there is none.

    The engine is loaded only if a response still needs a score. A failed response gets an `error` row.
    """
    facts: dict[str, int | float] = {}

    def compute(missing: pl.DataFrame) -> Rows:
        failed = missing.filter(pl.col("error").is_not_null())
        yield from (_row(row, {"error": f"no response: {row['error']}"}) for row in failed.to_dicts())
        rows = missing.filter(pl.col("error").is_null()).to_dicts()
        if not rows:
            return
        engine = load()
        asked = [Conversation(row["system"], tuple(row["user"]), tuple(row["turns"])) for row in rows]
        with keep_facts(engine, facts, work.title):
            for number, score in engine.stream(asked):
                yield _row(rows[number], vars(score))

    outcome = complete(lake, work, compute)
    return replace(outcome, facts=outcome.facts | facts)


def _row(row: Mapping[str, Any], score: Mapping[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in IDENTITY} | dict(score)
