"""Rows whose ids are hashes of what they say: which of them say something else by now."""

import polars as pl

from preceptor.lake.schemas import RAW_INSTRUCTIONS, RESPONSES, Table
from preceptor.lake.store import Partition
from preceptor.text import digest, normalise


def altered(table: Table, partition: Partition, rows: pl.DataFrame) -> list[str]:
    """The ids of a partition's rows that no longer hash to themselves; of other tables, none can be told."""
    if table.name == RESPONSES.name:
        return [
            row["response_id"]
            for row in rows.iter_rows(named=True)
            if row["response_id"] != _response_id(partition["teacher"], row)
        ]
    if table.name == RAW_INSTRUCTIONS.name:
        return [row["instruction_id"] for row in rows.iter_rows(named=True) if not _same(row)]
    return []


def _response_id(teacher: str, row: dict[str, object]) -> str:
    turns = row["turns"]
    assert isinstance(turns, list)
    return digest(teacher, str(row["prompt_hash"]), str(row["sample"]), str(row["error"] or ""), *turns)


def _same(row: dict[str, object]) -> bool:
    turns, system = row["turns"], str(row["system"] or "")
    assert isinstance(turns, list)
    key = digest(*(normalise(turn) for turn in (system, *turns)))
    return (row["instruction_id"], row["prompt_hash"]) == (key, digest(system, *turns))
