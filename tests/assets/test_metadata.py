"""The metadata of a materialization, and its order in the UI."""

import html
import warnings
from dataclasses import replace

import dagster as dg
import polars as pl
import pytest

from assets.lineage import LINEAGE, ORIGINS, column_lineage
from assets.metadata import (
    best_values,
    distribution,
    first_rows,
    listed,
    materialized,
    narrow_table,
    rankings,
    shown,
)
from preceptor.lake.resume import complete
from preceptor.lake.schemas import TABLES
from preceptor.shell.session import MADE_BY
from tests.lake.samples import finish, work


def test_counts_rates_and_versions_are_shown_and_failures_are_counted_from_the_table(lake):
    outcome = complete(lake, work(), finish)
    facts = {"tokens_per_second": 12.5, "mfu": 0.41, "rows_failed": -1}
    shown = materialized(lake, replace(outcome, facts=facts), read={"responses": 7}).metadata
    assert shown["rows_failed"] == 20
    assert (shown["tokens_per_second"], shown["mfu"]) == (12.5, 0.41)
    assert (shown["rows_computed"], shown["rows_reused"], shown["read/responses"]) == (20, 0, 7)


def test_results_come_before_provenance(lake):
    outcome = complete(lake, work(), finish)
    shown = list(materialized(lake, outcome, read={"responses": 7}, plot="a picture").metadata)
    order = ["plot", "preview", "rows_computed", "fingerprint", "lake_version", "read/responses"]
    assert [key for key in shown if key in order] == order


def test_a_preview_has_the_first_rows_with_long_cells_cut_and_a_narrow_table_has_all():
    rows = pl.DataFrame({"text": ["x" * 200, None], "number": [0.123456, 2.0]})
    preview = first_rows(rows, limit=1).value
    assert preview.split("\n")[2].rstrip() == f"| {'x' * 79}… | 0.1235 |"
    assert len(preview) == 1000  # the UI cuts off columns of a shorter text
    assert narrow_table(rows.select("number")).value == "| number |\n| --- |\n| 0.1235 |\n| 2 |"


def car_rows(teachers: int) -> pl.DataFrame:
    names = [f"a-teacher-with-a-long-name-{number}" for number in range(1, teachers + 1)]
    places = range(1, teachers + 1)
    ranked = pl.DataFrame({"base": "b", "teacher": names, "rank": places, "rank_low": 1, "rank_high": places})
    return ranked.with_columns(car=1 / pl.col("rank"), car_low=0.5 / pl.col("rank"), car_high=None)


def test_a_ranking_shows_intervals_inline_and_a_dash_for_a_missing_teacher():
    rows = car_rows(2).with_columns(car_high=pl.Series([1.25, 0.6]))
    missing = rows.head(1).with_columns(
        pl.lit(None).alias(name) for name in rows.columns if name not in "base teacher"
    )
    (table,) = rankings(pl.concat([rows, missing.cast(rows.schema)])).values()
    assert [line.replace("\u2011", "-") for line in table().value.split("\n")[2:]] == [
        "| 1 (1-1) | a-teacher-with-a-long-name-1 | 1.00 (0.50-1.25) |",
        "| 2 (1-2) | a-teacher-with-a-long-name-2 | 0.50 (0.25-0.60) |",
        "| – | a-teacher-with-a-long-name-1 | – |",
    ]
    assert best_values(rows) == {"CAR of the best for b": 1.0}


def test_a_long_ranking_shows_its_first_rows_inline_and_counts_the_others():
    (table,) = rankings(car_rows(90)).values()
    text = table().value
    shown = text.count("a-teacher")
    assert (
        len(text) < 1000 and 10 < shown < 90
    )  # from 1000 characters on the UI hides Markdown behind a button
    assert text.endswith(f"\n\n… and {90 - shown} more in `preview`")


@pytest.mark.parametrize(
    "numbers",
    [
        [1e-300, 1e300],
        [1e300] * 3,
        [1e16, 1e16 + 2],
        [1e308, -1e308],
        [5e-324, 0.0],
        [float("inf"), float("nan"), 1.0],
        [1.0],
        [],
    ],
)
def test_a_plot_never_fails_its_step(lake, numbers):
    values = pl.Series("reward", numbers, dtype=pl.Float64)
    outcome = complete(lake, work(), finish)
    with warnings.catch_warnings(action="error"):
        made = materialized(lake, outcome, read={}, plot=lambda: distribution(values, "reward")).metadata
    assert made["plot"].value.startswith("![reward](data:image/png")


def test_a_fact_that_cannot_be_shown_is_replaced_by_the_reason():
    def broken():
        raise KeyError("a | <b>")

    def panicking():
        raise pl.exceptions.PanicException("out of bounds")

    assert shown(broken).value == "not shown: KeyError: 'a &#124; &#60;b&#62;'"
    assert shown(panicking).value == "not shown: PanicException: out of bounds"
    assert shown(float("inf")) == "inf"
    assert shown(0.5) == 0.5


def test_an_empty_list_is_shown_as_none():
    assert listed([]) == "none"


@pytest.mark.parametrize("table", [name for name in TABLES if name not in MADE_BY])
def test_every_column_is_an_origin_or_comes_from_existing_columns(table):
    columns, origins = set(LINEAGE[table]), set(ORIGINS[table].split())
    assert not columns & origins
    assert columns | origins == set(TABLES[table].stored)
    for parent, column in {pair for parents in LINEAGE[table].values() for pair in parents}:
        assert column in TABLES[parent].stored, (table, parent, column)


def test_the_lineage_of_car_names_rewards_and_losses():
    (lineage,) = column_lineage("car_table").values()
    origins = {dependency.asset_key.to_user_string() for dependency in lineage.deps_by_column["car"]}
    assert origins == {"rewards", "base_losses"}
    assert column_lineage("raw_instructions") == {}
    assert isinstance(lineage, dg.TableColumnLineage)


def test_a_cell_cannot_end_its_column_or_contain_markup():
    bad = "a|b\\|c <script>x</script> ![i](http://x.test/) `code` \x1b[2J\u202e &lt;\n\nd"
    head, rule, row = narrow_table(pl.DataFrame({"text": [bad], "n": [1]})).value.split("\n")
    assert head.count("|") == rule.count("|") == row.count("|") == 3
    assert not set("<>[]`\\\x1b\u202e") & set(row)
    assert html.unescape(row).startswith(
        "| a|b\\|c <script>x</script> ![i](http://x.test/) `code` \ufffd[2J\ufffd &lt; d"
    )
    assert listed([bad]).count("\n") == 0 and "<" not in listed([bad])
