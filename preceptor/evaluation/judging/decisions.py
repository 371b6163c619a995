"""Computes an answer's outcome from its judgments: the mean over orders, each of which needs a verdict.

With `one_order`, one order with a verdict is enough.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from preceptor.evaluation.items import Item
from preceptor.evaluation.results import Decision, answered_row

Judgment = dict[str, Any]  # a row of `judgments`


def decided_rows(
    items: Mapping[str, Item], answers: pl.DataFrame, judgments: pl.DataFrame, one_order: bool = False
) -> list[dict[str, Any]]:
    """A row of `eval_results` for each answer, in the order of the answers."""
    by_answer: dict[tuple[str, int], list[Judgment]] = defaultdict(list)
    for row in judgments.iter_rows(named=True):
        by_answer[row["item_id"], row["sample"]].append(row)
    rows = []
    for answer in answers.iter_rows(named=True):
        found = by_answer.get((answer["item_id"], answer["sample"]), [])
        rows.append(answered_row(items[answer["item_id"]], answer, decision(found, one_order)))
    return rows


def decision(judgments: Iterable[Judgment], one_order: bool = False) -> Decision:
    """The mean over orders of the mean over draws.

    An order without any verdict makes the outcome an error, because the other order alone carries the judge's
    position bias. With `one_order`, it is an error only if no order has a verdict.
    """
    by_order: dict[str, list[Judgment]] = defaultdict(list)
    for judgment in judgments:
        by_order[judgment["shown"]].append(judgment)
    means, unread = {}, []
    for shown, rows in by_order.items():
        outcomes = [row["outcome"] for row in rows if row["outcome"] is not None]
        if outcomes:
            means[shown] = sum(outcomes) / len(outcomes)
        else:
            unread.append(shown)
    if unread and not (means and one_order):
        return _spoiled(unread[0], by_order[unread[0]])
    if not means:
        return Decision(error="the judge was not asked")
    return Decision(sum(means.values()) / len(means), measures=means)


def _spoiled(shown: str, rows: list[Judgment]) -> Decision:
    error = f"no verdict ({shown.replace('_', ' ')}): {rows[0]['error']}"
    filtered = error if all(row["filtered"] is not None for row in rows) else None
    return Decision(filtered=filtered, error=error)
