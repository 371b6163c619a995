"""Finds altered rows in tables whose ids are hashes of the rows' content."""

import polars as pl

from preceptor.instructions.identity import is_id_of
from preceptor.lake.schemas import RAW_INSTRUCTIONS, RESPONSES, Table
from preceptor.lake.store import Partition
from preceptor.text import digest


def altered(table: Table, partition: Partition, rows: pl.DataFrame) -> list[str]:
    """The ids of rows whose content no longer matches the id. Empty for tables with other ids."""
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
    its_own = is_id_of(str(row["instruction_id"]), system, turns)
    return its_own and row["prompt_hash"] == digest(system, *turns)
