"""Metadata of a materialization, as Dagster's UI shows it."""

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
SHOWN_IN_PLACE = 1000  # characters: the UI shows shorter Markdown inline, and cuts off a wide table there
TO = "\N{NON-BREAKING HYPHEN}"  # a narrow column breaks the line after an en dash
# Unescaped, these characters would end a cell, or begin a tag, a link or a remote picture.
NO_MARKUP = {ord(sign): f"&#{ord(sign)};" for sign in "&<>|[]`\\"}


def materialized(
    lake: Lake,
    outcome: Outcome,
    read: Mapping[str, int | None],
    checks: Iterable[dg.AssetCheckResult] = (),
    **facts: Any,
) -> dg.MaterializeResult:
    """The materialization of a written table: row counts, table versions, fingerprint, preview and `facts`.

    A fact may be a function, as most plots and previews are; `shown` calls it.
    """
    partitioned = bool(outcome.table.partition_by)
    metadata = {
        "dagster/partition_row_count" if partitioned else "dagster/row_count": outcome.rows.height,
        "dagster/table_name": outcome.table.name,
        "dagster/uri": lake.uri(outcome.table),
        "dagster/column_schema": column_schema(outcome.table),
        **column_lineage(outcome.table.name),
        # The UI keeps this order: results first, then provenance.
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
    """A fact's value; calls a fact that is a function. An error while calling becomes the text shown.

    The rows are already written, so a failing plot or preview must not fail the step.
    """
    if isinstance(fact, float) and not math.isfinite(fact):
        return str(fact)  # JSON has no such number
    if not callable(fact):
        return fact
    try:
        with warnings.catch_warnings(
            action="ignore"
        ):  # matplotlib warns of characters and numbers that it cannot draw
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
    """A table's columns with types and descriptions."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(name, str(dtype), description=table.meanings[name])
            for name, dtype in table.stored.items()
        ],
    )


def picture(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """A picture embedded in the event log."""
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})")


def distribution(values: pl.Series, label: str) -> dg.MarkdownMetadataValue:
    """A histogram of a column."""
    return picture(histogram(values, label), label)


def content_version(outcome: Outcome) -> dg.DataVersion:
    """A data version that changes whenever the rows do, so that Dagster knows which children are stale."""
    content = hashlib.sha256(outcome.rows.write_ipc(None).getbuffer()).hexdigest()
    return dg.DataVersion(f"{outcome.fingerprint}-{content[:16]}")


def first_rows(rows: pl.DataFrame, limit: int = PREVIEW_ROWS) -> dg.MarkdownMetadataValue:
    """The first rows in a separate window, which has room for many columns."""
    return dg.MetadataValue.md(_table(rows.head(limit)).ljust(SHOWN_IN_PLACE))


def narrow_table(rows: pl.DataFrame) -> dg.MarkdownMetadataValue:
    """All rows, shown inline if they are few. Pass only a handful of columns."""
    return dg.MetadataValue.md(_table(rows))


def in_place(rows: pl.DataFrame) -> dg.MarkdownMetadataValue:
    """As many first rows as the UI shows without a click, and the number of the others."""
    for height in range(rows.height, 0, -1):
        more = f"\n\n… and {rows.height - height} more in `preview`" if height < rows.height else ""
        if len(text := _table(rows.head(height)) + more) < SHOWN_IN_PLACE:
            return dg.MetadataValue.md(text)
    return first_rows(rows)


def _table(rows: pl.DataFrame) -> str:
    """Rows as a Markdown table. Long cells are cut, which keeps whole responses out of the event log."""
    lines = [" | ".join(rows.columns), " | ".join("---" for _ in rows.columns)]
    lines += [" | ".join(_cell(value).translate(NO_MARKUP) for value in row) for row in rows.iter_rows()]
    return "\n".join(f"| {line} |" for line in lines)


def live_picture(address: str | None, title: str) -> str:
    """A picture for an asset's description, drawn whenever the page is opened; empty without an address.

    The UI loads the rest of a description once, with the code, so that text must always be true.
    """
    return f"![{title}]({address})\n\n" if address else ""


def answers(table: pl.DataFrame) -> dict[str, Callable[[], str]]:
    """Facts of a CAR table: one sentence per base, as text, which the UI shows inline at any length."""
    return {
        f"answer for {base}": partial(_answer, table, base)
        for base in table["base"].unique(maintain_order=True)
    }


def rankings(table: pl.DataFrame) -> dict[str, Callable[[], dg.MarkdownMetadataValue]]:
    """Facts of a CAR table: each base's teachers by rank, with rank, CAR and their intervals."""
    return {
        f"ranking for {base}": partial(_ranking, table.filter(base=base))
        for base in table["base"].unique(maintain_order=True)
    }


def best_values(table: pl.DataFrame) -> dict[str, float]:
    """Facts of a CAR table that the UI plots. It sorts plots by name, so the capital C puts these first."""
    return {
        f"CAR of the best for {base}": car for base, car in table.filter(rank=1).select("base", "car").rows()
    }


def _ranking(rows: pl.DataFrame) -> dg.MarkdownMetadataValue:
    """Put each interval behind its number, to save space. Round brackets need no escape."""
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
    """Sentences as a Markdown list; a long list is cut."""
    if not sentences:
        return "none"
    lines = [f"- {_cell(sentence, 200).translate(NO_MARKUP)}" for sentence in sentences[:ROWS_LISTED]]
    more = len(sentences) - ROWS_LISTED
    return "\n".join([*lines, f"- … and {more} more"] if more > 0 else lines)


def _cell(value: Any, characters: int = PREVIEW_CHARACTERS) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
    text = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))
    return text if len(text) <= characters else text[: characters - 1] + "…"
