"""What a person wants to know of a materialization, in Dagster's terms."""

import base64
import hashlib
import math
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import dagster as dg
import polars as pl

from assets.lineage import column_lineage
from preceptor.lake.resume import Outcome
from preceptor.lake.schemas import Table
from preceptor.lake.store import Lake
from preceptor.plot import histogram
from preceptor.reasons import reasons
from preceptor.report.headline import headline
from preceptor.report.words import NOTHING, column

PREVIEW_ROWS = 5
PREVIEW_CHARACTERS = 80
ROWS_LISTED = 20
SHOWN_IN_PLACE = 1000  # characters: the UI shows shorter Markdown in its line, where a wide table is cut off
TO = "\N{NON-BREAKING HYPHEN}"  # after an en dash a narrow column ends its line
# In a row's text these would end a cell, begin a tag, a link or a picture that is fetched from somewhere.
NO_MARKUP = {ord(sign): f"&#{ord(sign)};" for sign in "&<>|[]`\\"}


def materialized(
    lake: Lake,
    outcome: Outcome,
    read: Mapping[str, int | None],
    checks: Iterable[dg.AssetCheckResult] = (),
    **facts: Any,
) -> dg.MaterializeResult:
    """The event of a written table: rows, versions read and written, fingerprint, preview, and `facts`.

    Facts that are functions, pictures and previews above all, are made by `shown`.
    """
    partitioned = bool(outcome.table.partition_by)
    metadata = {
        "dagster/partition_row_count" if partitioned else "dagster/row_count": outcome.rows.height,
        "dagster/table_name": outcome.table.name,
        "dagster/uri": lake.uri(outcome.table),
        "dagster/column_schema": column_schema(outcome.table),
        **column_lineage(outcome.table.name),
        # The UI keeps this order: what the rows say, then how they came to be.
        **facts,
        **({} if "preview" in facts else {"preview": lambda: first_rows(outcome.rows)}),
        "rows_computed": outcome.computed,
        "rows_reused": outcome.reused,
        "seconds": round(outcome.seconds, 3),
        **outcome.facts,
        **_failures(outcome),
        "fingerprint": outcome.fingerprint,
        "lake_version": outcome.version,
        **{f"read/{table}": version for table, version in read.items() if version is not None},
    }
    metadata = {name: shown(fact) for name, fact in metadata.items()}
    return dg.MaterializeResult(
        metadata=metadata, data_version=content_version(outcome), check_results=list(checks)
    )


def shown(fact: Any) -> Any:
    """A fact, made where it is a function; what cannot be made or shown says so in its place.

    The rows are written by now: no picture or preview of them may fail the step that made them.
    """
    if isinstance(fact, float) and not math.isfinite(fact):
        return str(fact)  # JSON knows no such number
    if not callable(fact):
        return fact
    try:
        with warnings.catch_warnings(
            action="ignore"
        ):  # matplotlib's, of signs and numbers that it cannot draw
            return fact()
    except (Exception, pl.exceptions.PanicException) as error:
        return dg.MetadataValue.md(
            _cell(f"not shown: {type(error).__name__}: {error}", 200).translate(NO_MARKUP)
        )


def _failures(outcome: Outcome) -> dict[str, int | str]:
    """How many rows carry an error, and the most frequent one."""
    if "error" not in outcome.rows.columns:
        return {}
    found = reasons(outcome.rows["error"])
    failed = sum(count for _, count in found)
    return {"rows_failed": failed, **({"most_frequent_reason": _cell(found[0][0], 200)} if found else {})}


def column_schema(table: Table) -> dg.TableSchema:
    """A table's columns, their types and what they mean."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name, str(dtype), description=table.meanings[name])
            for name, dtype in table.stored.items()
        ],
    )


def picture(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """A picture that the event log holds itself."""
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})")


def distribution(values: pl.Series, label: str) -> dg.MarkdownMetadataValue:
    """A histogram of a column."""
    return picture(histogram(values, label), label)


def content_version(outcome: Outcome) -> dg.DataVersion:
    """Changes whenever the rows do, so that Dagster knows which children are stale."""
    content = hashlib.sha256(outcome.rows.write_ipc(None).getbuffer()).hexdigest()
    return dg.DataVersion(f"{outcome.fingerprint}-{content[:16]}")


def first_rows(rows: pl.DataFrame, limit: int = PREVIEW_ROWS) -> dg.MarkdownMetadataValue:
    """Some rows in a window of their own, since many columns fit nowhere else."""
    return dg.MetadataValue.md(_table(rows.head(limit)).ljust(SHOWN_IN_PLACE))


def narrow_table(rows: pl.DataFrame) -> dg.MarkdownMetadataValue:
    """All rows; where they are few they are shown where they stand, so a handful of columns at most."""
    return dg.MetadataValue.md(_table(rows))


def in_place(rows: pl.DataFrame) -> dg.MarkdownMetadataValue:
    """The first rows, as many as the UI shows without a click, and how many more there are."""
    for height in range(rows.height, 0, -1):
        more = f"\n\n… and {rows.height - height} more in `preview`" if height < rows.height else ""
        if len(text := _table(rows.head(height)) + more) < SHOWN_IN_PLACE:
            return dg.MetadataValue.md(text)
    return first_rows(rows)


def _table(rows: pl.DataFrame) -> str:
    """Rows in Markdown, long cells cut: the event log is no place for whole responses."""
    lines = [" | ".join(rows.columns), " | ".join("---" for _ in rows.columns)]
    lines += [" | ".join(_cell(value).translate(NO_MARKUP) for value in row) for row in rows.iter_rows()]
    return "\n".join(f"| {line} |" for line in lines)


def live_picture(address: str | None, title: str) -> str:
    """A part of an asset's description: a picture that is drawn when somebody looks.

    What else a description says the UI took over when it loaded the code: only what is always true. Nothing
    without an address.
    """
    return f"![{title}]({address})\n\n" if address else ""


def answers(table: pl.DataFrame) -> dict[str, Callable[[], str]]:
    """Facts of a CAR table: a sentence per base, as text, of which the UI shows any length in its place."""
    return {
        f"answer for {base}": partial(_answer, table, base)
        for base in table["base"].unique(maintain_order=True)
    }


def rankings(table: pl.DataFrame) -> dict[str, Callable[[], dg.MarkdownMetadataValue]]:
    """Facts of a CAR table: the teachers of each base by rank, each with the interval of its rank and CAR."""
    return {
        f"ranking for {base}": partial(_ranking, table.filter(base=base))
        for base in table["base"].unique(maintain_order=True)
    }


def best_values(table: pl.DataFrame) -> dict[str, float]:
    """Facts of a CAR table that the UI plots, and before all others since it sorts them by name."""
    return {
        f"CAR of the best for {base}": car for base, car in table.filter(rank=1).select("base", "car").rows()
    }


def _ranking(rows: pl.DataFrame) -> dg.MarkdownMetadataValue:
    """Intervals behind their number, in brackets that need no escape: the page has little room."""
    numbers = rows.select("car", "car_low", "car_high").rows()
    flat = column([value for row in numbers for value in row], digits=3)
    cars = [_with_interval(*flat[place : place + 3]) for place in range(0, len(flat), 3)]
    spans = rows.select(pl.col("rank", "rank_low", "rank_high").cast(pl.String).fill_null(NOTHING)).rows()
    ranks = [_with_interval(*span) for span in spans]
    return in_place(pl.DataFrame({"rank": ranks, "teacher": rows["teacher"], "CAR": cars}))


def _with_interval(value: str, low: str, high: str) -> str:
    return value if NOTHING in (low, high) else f"{value} ({low}{TO}{high})"


def _answer(table: pl.DataFrame, base: str) -> str:
    found = headline(table, base)
    return f"{found.sentence} {found.numbers[:1].upper()}{found.numbers[1:]}.".removesuffix(" .")


def listed(sentences: list[str]) -> str:
    """Sentences as a Markdown list, the first few of many."""
    if not sentences:
        return "none"
    lines = [f"- {_cell(sentence, 200).translate(NO_MARKUP)}" for sentence in sentences[:ROWS_LISTED]]
    more = len(sentences) - ROWS_LISTED
    return "\n".join([*lines, f"- … and {more} more"] if more > 0 else lines)


def _cell(value: Any, characters: int = PREVIEW_CHARACTERS) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
    text = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))
    return text if len(text) <= characters else text[: characters - 1] + "…"
