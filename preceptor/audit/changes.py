"""Why a teacher was scored again, and what changed between two rankings, according to the commits."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from preceptor.audit.folder import AuditError
from preceptor.lake.history import Commit, history
from preceptor.lake.schemas import BASE_LOSSES, CAR_TABLE, RESPONSES, REWARDS, TABLES
from preceptor.lake.store import Lake
from preceptor.lake.warehouse import Warehouse

COMMITS: dict[str, pl.DataType | type[pl.DataType]] = {
    "table_name": pl.String,
    "version": pl.Int64,
    "time": pl.Datetime("ms", "UTC"),
    "partition": pl.String,
    "teacher": pl.String,
    "fingerprint": pl.String,
    "content": pl.String,
    "rows": pl.Int64,
}
SETTINGS = {"table_name": pl.String, "version": pl.Int64, "name": pl.String, "value": pl.String}


@dataclass(frozen=True)
class RankingChange:
    """The differences of two versions of the CAR table: teachers' ranks, settings, and input partitions."""

    before: Commit
    after: Commit
    teachers: pl.DataFrame
    settings: list[str]
    partitions: pl.DataFrame


def why_rescored(lake: Lake, sql_folder: Path, teacher: str) -> pl.DataFrame:
    """A row per publication of the teacher's responses, rewards and losses, with the changes before it.

    Raises AuditError if nothing of the teacher was ever published.
    """
    commits = [c for table in (RESPONSES, REWARDS, BASE_LOSSES) for c in history(lake, table)]
    known = sorted({c.partition["teacher"] for c in commits})
    if teacher not in known:
        raise AuditError(
            f"teacher {teacher!r} has no published rows; known teachers: {', '.join(known) or 'none'}"
        )
    warehouse = Warehouse(lake, sql_folder)
    warehouse.register("commits", _commits(commits))
    settings = [row for c in commits for row in _settings(c)]
    warehouse.register("settings", pl.DataFrame(settings, schema=SETTINGS, orient="row"))
    return warehouse.query("audit/why_rescored", teacher=teacher)


def ranking_change(
    lake: Lake, sql_folder: Path, before: int | None = None, after: int | None = None
) -> RankingChange:
    """The differences between two versions of the CAR table, by default the last two published ones.

    Raises AuditError if there are not two.
    """
    rankings = history(lake, CAR_TABLE)
    later = _ranking(rankings, after)
    earlier = _ranking([c for c in rankings if c.version < later.version], before)
    warehouse = Warehouse(lake, sql_folder)
    for name, ranking in (("car_before", earlier), ("car_after", later)):
        warehouse.register(name, lake.read(CAR_TABLE, version=ranking.version))
    read = earlier.reads.keys() | later.reads.keys()
    warehouse.register("commits", _commits([c for name in read for c in history(lake, TABLES[name])]))
    reads = [
        (moment, table, version)
        for moment, ranking in (("before", earlier), ("after", later))
        for table, version in ranking.reads.items()
    ]
    warehouse.register("reads", pl.DataFrame(reads, schema=["moment", "table_name", "version"], orient="row"))
    return RankingChange(
        earlier,
        later,
        warehouse.query("audit/ranking_changes"),
        list(_changed(earlier, later)),
        warehouse.query("audit/changed_partitions"),
    )


def _ranking(rankings: list[Commit], version: int | None) -> Commit:
    """The ranking that was the newest at a version."""
    for ranking in rankings:
        if version is None or ranking.version <= version:
            return ranking
    raise AuditError(
        "the CAR table was not published twice by this version: choose a later version, or materialize"
        " car_table again"
    )


def _changed(earlier: Commit, later: Commit) -> Iterator[str]:
    """The settings of CAR that differ. The settings of its input rows show in their partitions."""
    old, new = dict(_flat(earlier.declared, "")), dict(_flat(later.declared, ""))
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"car.{name}: {old.get(name, 'unset')} → {new.get(name, 'unset')}"


def _commits(commits: list[Commit]) -> pl.DataFrame:
    rows = [
        (
            c.table,
            c.version,
            c.time,
            " × ".join(c.partition.values()),
            c.partition.get("teacher"),
            c.fingerprint,
            c.content,
            c.rows,
        )
        for c in commits
    ]
    return pl.DataFrame(rows, schema=COMMITS, orient="row")


def _settings(commit: Commit) -> Iterator[tuple[str, int, str, str]]:
    for name, value in _flat(commit.settings, ""):
        yield commit.table, commit.version, "the step's version" if name == "version" else name, value
    for table, version in commit.reads.items():
        yield commit.table, commit.version, f"read {table}", f"version {version}"


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """The leaves of nested settings, each with its dotted path."""
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from _flat(part, f"{path}.{key}" if path else str(key))
    else:
        yield path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
