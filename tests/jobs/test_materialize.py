"""A step's line on the console: its rows, the failed rows with the main reason, and a score."""

from types import SimpleNamespace

import polars as pl
import pytest

from jobs.materialize import _outcome
from jobs.steps import Step
from preceptor.reasons import reasons


def line(**metadata):
    values = {name: SimpleNamespace(value=value) for name, value in metadata.items()}
    made = [SimpleNamespace(metadata=values)]
    return _outcome(SimpleNamespace(asset_materializations_for_node=lambda _: made), Step("rewards"))


@pytest.mark.parametrize(
    "metadata,says",
    [
        ({"rows_computed": 1200, "rows_reused": 0}, "1,200 rows"),
        ({"rows_computed": 1, "rows_reused": 0}, "1 row"),
        ({"rows_computed": 2, "rows_reused": 10, "rows_failed": 0}, "2 rows and 10 kept"),
        (
            {"rows_computed": 0, "rows_reused": 9, "rows_failed": 4, "most_frequent_reason": "timed out"},
            "9 rows, up to date, 4 failed, mostly: timed out",
        ),
        (
            {"rows_computed": 0, "rows_reused": 9, "score": "accuracy 50.0 % [20.0 %, 80.0 %], n = 9"},
            "9 rows, up to date; accuracy 50.0 % [20.0 %, 80.0 %], n = 9",
        ),
    ],
)
def test_a_line_has_rows_failures_and_score(metadata, says):
    assert line(**metadata) == says


def test_a_long_reason_is_cut():
    said = line(rows_computed=1, rows_reused=0, rows_failed=1, most_frequent_reason="word " * 100)
    assert len(said) < 160
    assert said.endswith("word …")


def test_reasons_that_differ_only_by_row_are_counted_together():
    errors = ["empty score in a.csv:12", None, "too long: 4,097 tokens", "empty score in a.csv:7"]
    errors += ["too long: 5001 tokens", "too long: 9 tokens", "refused"]
    assert reasons(pl.Series("error", errors)) == [
        ("too long: 4,097 tokens", 3),
        ("empty score in a.csv:12", 2),
        ("refused", 1),
    ]
    assert reasons(pl.Series("error", [None, None], dtype=pl.String)) == []
