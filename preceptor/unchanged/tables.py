"""Which files hold a partition's rows now. File names are unique, so new rows have new names."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from preceptor.lake.folders import file_sizes
from preceptor.lake.history import Commit, history
from preceptor.lake.ledger import head_at
from preceptor.lake.schemas import REWARDS, Table
from preceptor.lake.store import Lake, Partition
from preceptor.rewards.drift import earlier_versions

Group = frozenset[tuple[str, str]]  # a partition's columns and values
Files = dict[Group, list[str]]


class DoubtError(Exception):
    """The state cannot be determined. The step must run, and report any problem itself."""


@dataclass
class LiveTables:
    """A lake's tables as they are now. Look-ups are cached until `forget`."""

    lake: Lake
    _known: dict[tuple[str, int | None], tuple[int, Files] | None] = field(default_factory=dict)
    _stored: dict[str, dict[str, int]] = field(default_factory=dict)  # sizes on S3, by table
    _commits: list[Commit] | None = None

    def forget(self) -> None:
        """Clear the cache: call this after a step ran, or after a long time."""
        self._known.clear()
        self._stored.clear()
        self._commits = None

    def version(self, table: Table) -> int | None:
        """The newest version, or None if the table does not exist. Raises LakeError."""
        found = self._look(table)
        return None if found is None else found[0]

    def files(self, table: Table, partition: Partition) -> list[str]:
        """The files of a partition, or of all partitions that match these columns, with their signatures.

        Raises DoubtError if a file is gone or the newest commit has no hashes, and LakeError.
        """
        found = self._look(table)
        if found is None:
            return []
        if head_at(self.lake.files(table), found[0]) is None:
            raise DoubtError(f"{table.name} has no hashes for version {found[0]}")
        return sorted(self._signed(table, found[1], partition))

    def unfinished(self, table: Table, partition: Partition) -> bool:
        """Whether the staging table still holds rows of the partition. Raises LakeError."""
        staged = replace(table, name=f"_staging/{table.name}")
        found = self._look(staged)
        return found is not None and any(_matching(found[1], partition))

    def replaced(self, table: Table, partition: Partition, version: int) -> bool:
        """Whether the partition's rows changed since a version. Raises LakeError."""
        files = [found[1] for found in (self._look(table, version), self._look(table)) if found]
        return len({frozenset(_matching(there, partition)) for there in files}) != 1

    def earlier_rewards(self, partition: Partition, now: datetime | None = None) -> list[Any]:
        """The earlier versions, with their files, that the drift check compares a rewards partition with."""
        if self._commits is None:
            self._commits = history(self.lake, REWARDS)
        found = []
        for version in earlier_versions(self._commits, partition, now):
            then = self._look(REWARDS, version)
            found.append([version, [] if then is None else sorted(self._signed(REWARDS, then[1], partition))])
        return found

    def _look(self, table: Table, version: int | None = None) -> tuple[int, Files] | None:
        key = table.name, version
        if key not in self._known:
            self._known[key] = _live(self.lake, table, version)
        return self._known[key]

    def _signed(self, table: Table, files: Files, partition: Partition) -> Iterator[str]:
        for name in _matching(files, partition):
            yield f"{name} {self._signature(table, name)}"

    def _signature(self, table: Table, name: str) -> Any:
        if self.lake.remote:
            if table.name not in self._stored:
                self._stored[table.name] = file_sizes(self.lake, self.lake.uri(table))
            found: Any = self._stored[table.name].get(name)
        else:
            found = self.lake.files(table).signature(name)
        if found is None:
            raise DoubtError(f"{table.name}: {name} is gone")
        return found


def _live(lake: Lake, table: Table, version: int | None) -> tuple[int, Files] | None:
    delta = lake.open(table, version)
    if delta is None:
        return None
    with lake.reading(table):
        actions = delta.get_add_actions(flatten=True)
        names = [unquote(path) for path in actions.column("path").to_pylist()]
        values = [actions.column(f"partition.{column}").to_pylist() for column in table.partition_by]
    files: Files = {}
    for name, *place in zip(names, *values, strict=True):
        files.setdefault(frozenset(zip(table.partition_by, place, strict=True)), []).append(name)
    return delta.version(), files


def _matching(files: Files, partition: Partition) -> Iterator[str]:
    wanted = frozenset(partition.items())
    if wanted in files:
        yield from files[wanted]
        return
    for group, names in files.items():
        if wanted <= group:
            yield from names
