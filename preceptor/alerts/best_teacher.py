"""Detects when a base's best teacher has changed since the last announcement by more than chance."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from preceptor.alerts.alert import Alert, make_alert

Row = dict[str, Any]  # of `car_table`


@dataclass(frozen=True)
class Change:
    """A base whose announced best teacher cannot be first any more, or is not ranked (its row says why)."""

    base: str
    before: str
    now: Row
    was: Row | None  # the announced teacher's current row; None if it left the study


def best_teacher_changes(
    announced: Mapping[str, str], table: pl.DataFrame, whole: bool = True
) -> tuple[list[Change], dict[str, str]]:
    """The changes to announce, and the announced best teacher per base after them.

    A new base is recorded without an alert. The announced teacher stays until the data rule out that it is
    first, so many small drifts still lead to an alert in the end. If the study could not be read `whole`, a
    teacher without a row does not count as gone: its file may be the unreadable one.
    """
    changes, after = [], {}
    for base in table["base"].unique(maintain_order=True):
        rows = table.filter(base=base)
        ranked = rows.filter(pl.col("rank").is_not_null()).sort("rank", "teacher")
        before = announced.get(base)
        if ranked.is_empty():  # the table's own check reports missing teachers
            after.update({} if before is None else {base: before})
            continue
        best = ranked.row(0, named=True)
        was = next(rows.filter(teacher=before).iter_rows(named=True), None) if before is not None else None
        if before is None or _may_be_first(was) or (was is None and not whole):
            after[base] = before or best["teacher"]
            continue
        changes.append(Change(base, before, best, was))
        after[base] = best["teacher"]
    return changes, after


def best_teacher_alert(change: Change, version: int) -> Alert:
    """The alert for a change. `version` is the CAR table's."""
    now = change.now
    return make_alert(
        "best_teacher_changed",
        f"the best teacher for {change.base} is now {now['teacher']} ({_car(now)});"
        f" it was {change.before}, {_fate(change.was)}. Version {version} of car_table",
        base=change.base,
        teacher=now["teacher"],
        car=now["car"],
        before=change.before,
        before_car=None if change.was is None else change.was["car"],
        lake_version=version,
    )


def _may_be_first(row: Row | None) -> bool:
    return row is not None and row["rank"] is not None and row["rank_low"] == 1


def _fate(row: Row | None) -> str:
    if row is None:
        return "which left the study"
    if row["rank"] is None:
        return f"which can no longer be ranked: {row['missing']}"
    return f"now rank {row['rank']} [{row['rank_low']}-{row['rank_high']}] ({_car(row)})"


def _car(row: Row) -> str:
    interval = ""
    if row["car_low"] is not None and row["car_high"] is not None:
        interval = f" [{row['car_low']:.4f}, {row['car_high']:.4f}]"
    return f"CAR {row['car']:.4f}{interval}"
