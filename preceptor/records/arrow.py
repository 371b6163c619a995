"""Parquet files, and folders and datasets of the `datasets` library."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preceptor.records.opening import (
    MEGABYTE,
    Placed,
    RecordsError,
    Row,
    numbered,
    refuse_kind,
    refuse_repeated,
)
from preceptor.study.fields import Records

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_AT_ONCE = 64
TEXT = "BYTE_ARRAY"


def parquet_rows(path: Path) -> Iterator[Placed]:
    """The rows of a Parquet file. Raises RecordsError for another kind of file or a repeated column."""
    import pyarrow.parquet as parquet

    with path.open("rb") as file:
        first = file.read(4096)
    if not first.startswith(b"PAR1"):
        refuse_kind(path, first)
    with parquet.ParquetFile(path) as plain:
        refuse_repeated(f"{path}", plain.schema_arrow.names)
        texts = [
            c.path for c in map(plain.schema.column, range(len(plain.schema))) if c.physical_type == TEXT
        ]
    # Dictionaries stay encoded, so that a long text that many rows repeat is not unpacked for each.
    with parquet.ParquetFile(path, read_dictionary=texts) as opened:
        rows = (row for batch in opened.iter_batches(ROWS_AT_ONCE) for row in unpacked(batch))
        yield from numbered(rows, path.name)


def saved_dataset_rows(path: Path, split: str) -> Iterator[Placed]:
    """The rows of a split of a folder that `datasets` saved."""
    from datasets import DatasetDict, load_from_disk

    dataset = load_from_disk(str(path))
    if isinstance(dataset, DatasetDict):
        if split not in dataset:
            raise RecordsError(f"{path}: has no split {split!r}; its splits are {', '.join(dataset)}")
        dataset = dataset[split]
    yield from numbered(_dataset(dataset), path.name)


def dataset_rows(records: Records) -> Iterator[Placed]:
    """The rows of a split of a dataset on a hub, or in the local cache."""
    from datasets import load_dataset

    dataset = load_dataset(records.dataset, records.subset, split=records.split, revision=records.revision)
    yield from numbered(_dataset(dataset), str(records.dataset))


def unpacked(batch: "pa.RecordBatch | pa.Table") -> Iterator[Row]:
    """The rows of a batch. A batch above one megabyte is unpacked row by row."""
    import pyarrow as pa

    columns = [_readable(batch.column(number)) for number in range(batch.num_columns)]
    table = pa.table(columns, names=batch.schema.names)
    if batch.nbytes <= MEGABYTE:
        yield from table.to_pylist()
        return
    for number in range(table.num_rows):
        yield from table.slice(number, 1).to_pylist()


def _dataset(dataset: Any) -> Iterator[Row]:
    """Rows straight from Arrow, so that images and sound in unread columns are not decoded."""
    for batch in dataset.with_format("arrow").iter(ROWS_AT_ONCE):
        yield from unpacked(batch)


def _readable(column: Any) -> Any:
    return _as_text(_without_time(column))


def _as_text(column: Any) -> Any:
    """Convert bytes to text if they are UTF-8, because old writers do not mark text. Images stay bytes."""
    import pyarrow as pa

    packed = pa.types.is_dictionary(column.type)
    kind = column.type.value_type if packed else column.type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        return column
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    try:
        text = (column.dictionary if packed else column).cast(pa.large_string())
    except pa.ArrowInvalid:
        return column
    return pa.DictionaryArray.from_arrays(column.indices, text) if packed else text


def _without_time(column: Any) -> Any:
    """Convert times to integers. No reader needs them, and some have no Python object (unknown time zone)."""
    plain = _plain(column.type)
    return column if plain == column.type else column.cast(plain)


def _plain(kind: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa

    if pa.types.is_temporal(kind) and not pa.types.is_interval(kind):
        return pa.int32() if kind.bit_width == 32 else pa.int64()
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(f.name, _plain(f.type)) for f in map(kind.field, range(kind.num_fields))])
    if pa.types.is_map(kind):
        return pa.map_(_plain(kind.key_type), _plain(kind.item_type))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain(kind.value_type), kind.list_size)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        whole = pa.large_list if pa.types.is_large_list(kind) else pa.list_
        return whole(_plain(kind.value_type))
    return kind
