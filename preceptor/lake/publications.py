"""When a partition's rows were replaced, from the table's own log."""

from dataclasses import dataclass
from datetime import UTC, datetime

from deltalake.exceptions import DeltaError

from preceptor.lake.schemas import Table
from preceptor.lake.store import Lake, LakeError, Partition, partition_predicate


@dataclass(frozen=True)
class Publication:
    """One replacement of a partition: the table's version that it made, and when."""

    version: int
    at: datetime


def publications(lake: Lake, table: Table, partition: Partition, since: datetime) -> list[Publication]:
    """A partition's replacements since then, oldest first. A table that does not exist has none."""
    delta = lake.open(table)
    if delta is None:
        return []
    # As `Lake.publish` writes it, whatever order the caller's columns have.
    predicate = partition_predicate({column: partition[column] for column in table.partition_by})
    try:
        log = delta.history()
    except (DeltaError, OSError) as error:
        raise LakeError(
            f"the log of table {table.name} at {lake.uri(table)} cannot be read: {error}"
        ) from error
    found = [
        Publication(entry["version"], datetime.fromtimestamp(entry["timestamp"] / 1000, UTC))
        for entry in reversed(log)
        if entry["operation"] == "WRITE" and entry["operationParameters"].get("predicate") == predicate
    ]
    return [publication for publication in found if publication.at >= since]
