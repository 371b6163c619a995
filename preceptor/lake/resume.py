"""Resumable work: compute only the missing rows and commit them every few seconds as they finish.

Finished rows go to a staging table beside the real one. Once a partition is complete, it replaces the old
rows in one commit. So readers never see a half-finished partition, and rows of two fingerprints never mix.
"""

import logging
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field, replace

import polars as pl

from preceptor.lake.schemas import Table
from preceptor.lake.staging import Row, Waiting
from preceptor.lake.store import Lake, LakeError, Partition
from preceptor.progress import Progress

log = logging.getLogger(__name__)
Rows = Generator[Row, None, None]
Compute = Callable[[pl.DataFrame], Rows]


@dataclass(frozen=True)
class Outcome:
    """The result of one materialization: the published rows, how many were computed, and in what time."""

    table: Table
    rows: pl.DataFrame
    version: int
    fingerprint: str
    computed: int
    reused: int
    seconds: float
    facts: dict[str, int | float] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """One partition's work. `wanted` holds every row's identity columns and the inputs to compute it.

    With `retry_failed`, rows with an error count as missing.
    """

    table: Table
    partition: Partition
    fingerprint: str
    identity: tuple[str, ...]
    wanted: pl.DataFrame
    retry_failed: bool = False

    @property
    def title(self) -> str:
        """Table and partition, for logs and errors."""
        return f"{self.table.name} {' × '.join(self.partition.values())}".strip()


@dataclass(frozen=True)
class Published:
    """A partition's rows with the work's fingerprint. `stale`: it also holds rows with another one."""

    version: int | None
    rows: pl.DataFrame
    stale: bool


def complete(lake: Lake, work: Work, compute: Compute) -> Outcome:
    """Make a partition hold exactly the wanted rows. Computes only rows that are not committed yet.

    `compute` gets the missing rows of `wanted`. It yields finished rows, as mappings by column, in any order.
    Raises RuntimeError if it leaves rows out.
    """
    started = time.monotonic()
    # Read the staging table first: another process that publishes in between clears it afterwards.
    staged = _rows(lake, _staging(work.table), work)
    published = _published(lake, work)
    # Staged rows win: they are newer if a killed process had begun to retry failed rows.
    finished = _finished(work, _kept(work, staged), _kept(work, published.rows))
    missing = work.wanted.join(finished, on=list(work.identity), how="anti", maintain_order="left")
    facts: dict[str, int | float] = {}
    if not missing.is_empty():
        chunks, facts = _computed(lake, work, missing, compute)
        finished = _finished(work, finished, *chunks)
    _refuse_incomplete(work, finished)
    version = _publish(lake, work, published, finished)
    _clear_staging(lake, work)
    reused = finished.height - missing.height
    seconds = time.monotonic() - started
    return Outcome(work.table, finished, version, work.fingerprint, missing.height, reused, seconds, facts)


def put(lake: Lake, table: Table, partition: Partition, fingerprint: str, rows: pl.DataFrame) -> Outcome:
    """Make a partition hold these rows. If it already does, there is no new version."""
    started = time.monotonic()
    work = Work(table, partition, fingerprint, table.key, rows)
    rows = table.conform(rows)
    published = _published(lake, work)
    version = _publish(lake, work, published, rows)
    computed = 0 if rows.equals(published.rows) else rows.height
    seconds = time.monotonic() - started
    return Outcome(table, rows, version, fingerprint, computed, rows.height - computed, seconds)


def derive(
    lake: Lake, table: Table, partition: Partition, fingerprint: str, make: Callable[[], pl.DataFrame]
) -> Outcome:
    """Publish rows that the fingerprint fully determines. Calls `make` only if they are not stored yet."""
    work = Work(table, partition, fingerprint, table.key, pl.DataFrame())
    present = _published(lake, work)
    if present.version is None or present.rows.is_empty():
        started = time.monotonic()
        outcome = put(lake, table, partition, fingerprint, make())
        return replace(outcome, seconds=time.monotonic() - started)
    _heal(lake, table, present.version)
    return Outcome(table, present.rows, present.version, fingerprint, 0, present.rows.height, 0.0)


def _computed(
    lake: Lake, work: Work, missing: pl.DataFrame, compute: Compute
) -> tuple[list[pl.DataFrame], dict[str, int | float]]:
    lake.create(work.table)  # an unwritable store fails here, before the expensive part
    progress = Progress(work.title, missing.height)
    chunks = []

    def commit(rows: list[Row]) -> None:
        chunk = work.table.frame(rows)
        _stage(lake, work, chunk)
        chunks.append(chunk)

    # If a commit fails, the engine is closed. If the engine fails, its finished rows are committed.
    with closing(compute(missing)) as finished, Waiting(commit) as waiting:
        for row in finished:
            waiting.add(row)
            progress.advance(1, _tokens(row), row.get("error") is not None)
    return chunks, progress.facts()


def _tokens(row: Row) -> int:
    """Tokens that the model processed: the prompt, and the tokens scored or else generated."""
    counted = "tokens" if "tokens" in row else "response_tokens"
    return sum(int(row.get(column) or 0) for column in ("prompt_tokens", counted))


def _staging(table: Table) -> Table:
    return replace(table, name=f"_staging/{table.name}")


def _rows(lake: Lake, table: Table, work: Work, version: int | None = None) -> pl.DataFrame:
    """The partition's rows with the work's fingerprint; rows with another one are left out."""
    rows = lake.read(table, work.partition, version=version)
    return rows.filter(pl.col("fingerprint") == work.fingerprint).select(list(table.row_schema))


def _published(lake: Lake, work: Work) -> Published:
    version = lake.version(work.table)
    if version is None:
        return Published(None, work.table.conform(work.table.schema.to_frame()), stale=False)
    everything = lake.read(work.table, work.partition, columns=["fingerprint"], version=version)
    rows = _rows(lake, work.table, work, version)
    return Published(version, rows, stale=rows.height < everything.height)


def _kept(work: Work, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("error").is_null()) if work.retry_failed else rows


def _finished(work: Work, *parts: pl.DataFrame) -> pl.DataFrame:
    """The wanted rows of all parts, in the order of `wanted`. Of repeated rows the first wins."""
    rows = pl.concat(parts).unique(work.identity, keep="first", maintain_order=True)
    wanted = work.wanted.select(list(work.identity))
    joined = wanted.join(rows, on=list(work.identity), how="inner", maintain_order="left")
    return joined.select(list(work.table.row_schema))


def _stage(lake: Lake, work: Work, chunk: pl.DataFrame) -> None:
    """Commit a chunk. If another process committed some of the same rows first, those are kept."""
    staging = _staging(work.table)
    transaction = "/".join((*work.partition.values(), work.fingerprint))
    while not chunk.is_empty():
        if lake.append(staging, chunk, work.partition, work.fingerprint, transaction):
            return
        log.warning("%s: another process is doing the same work; keeping its rows", work.title)
        theirs = _rows(lake, staging, work)
        chunk = chunk.join(theirs, on=list(work.identity), how="anti")


def _clear_staging(lake: Lake, work: Work) -> None:
    staging = _staging(work.table)
    if not lake.read(staging, work.partition, columns=["fingerprint"]).is_empty():
        lake.delete(staging, work.partition)


def _refuse_incomplete(work: Work, finished: pl.DataFrame) -> None:
    lacking = work.wanted.height - finished.height
    if lacking:
        raise RuntimeError(f"{work.title}: {lacking} of {work.wanted.height} rows were not computed")


def _publish(lake: Lake, work: Work, published: Published, finished: pl.DataFrame) -> int:
    """Replace the partition, unless it already holds exactly these rows."""
    if published.version is not None and not published.stale and finished.equals(published.rows):
        _heal(lake, work.table, published.version)
        return published.version
    return lake.publish(work.table, finished, work.partition, work.fingerprint).version


def _heal(lake: Lake, table: Table, version: int) -> None:
    """Write hashes that a killed writer left out. Only logs a failure: the store may be read-only."""
    try:
        lake.record(table, version)
    except LakeError as error:
        log.warning("%s", error)
