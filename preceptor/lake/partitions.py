"""Read a table at one version, one partition at a time, with selected columns."""

from collections import defaultdict
from typing import TYPE_CHECKING

import polars as pl

from preceptor.lake.schemas import Table
from preceptor.lake.store import Lake, Partition

if TYPE_CHECKING:
    from pyarrow.dataset import Fragment


class Partitions:
    """A table at a version. Its log and data files are checked against their hashes once, on creation."""

    def __init__(self, lake: Lake, table: Table, version: int) -> None:
        from pyarrow.dataset import get_partition_keys

        self.lake = lake
        self.table = table
        delta = lake.existing(table, version)
        lake.check_data(table, delta)
        dataset = lake.dataset(table, delta)
        self._schema = dataset.schema
        self._files: dict[tuple[str, ...], list[Fragment]] = defaultdict(list)
        for fragment in dataset.get_fragments():
            place = get_partition_keys(fragment.partition_expression)
            self._files[tuple(place[name] for name in table.partition_by)].append(fragment)

    def rows(self, partition: Partition, columns: list[str]) -> pl.DataFrame:
        """The columns of a partition's rows, in stored order; no rows if the partition is not published."""
        types = {name: self.table.schema[name] for name in columns}
        files = self._files.get(tuple(partition[name] for name in self.table.partition_by), [])
        with self.lake.reading(self.table, "a data file of {} cannot be read"):
            parts = [self._read(file, types) for file in files]
        return pl.concat([pl.DataFrame(schema=types), *parts])

    def _read(self, file: "Fragment", types: dict[str, pl.DataType]) -> pl.DataFrame:
        if self.lake.remote:
            found = file.to_table(schema=self._schema, columns=list(types))
            found.validate(full=True)  # polars assumes that text is valid UTF-8
            return pl.DataFrame(found).cast(types)  # type: ignore[arg-type]
        # Polars reads local files several times as fast as Arrow.
        return pl.scan_parquet(
            f"{self.lake.uri(self.table)}/{file.path}",
            schema=types,
            missing_columns="insert",  # files of older releases lack newer columns
            extra_columns="ignore",
            glob=False,
            hive_partitioning=False,
        ).collect()
