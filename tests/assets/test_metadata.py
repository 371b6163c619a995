"""What the UI shows of a materialization."""

import html
from dataclasses import replace

import dagster as dg
import polars as pl

from assets.lineage import LINEAGE, column_lineage
from assets.metadata import listed, materialized, preview
from preceptor.lake.resume import complete
from preceptor.lake.schemas import TABLES
from tests.lake.samples import answers, work


def test_counts_rates_and_versions_are_shown_and_the_tables_own_count_of_failures_wins(lake):
    outcome = complete(lake, work(), lambda missing: (answers(missing) for _ in "1"))
    facts = {"tokens_per_second": 12.5, "mfu": 0.41, "rows_failed": -1}
    shown = materialized(lake, replace(outcome, facts=facts), read={"responses": 7}).metadata
    assert shown["rows_failed"] == 20
    assert (shown["tokens_per_second"], shown["mfu"]) == (12.5, 0.41)
    assert (shown["rows_computed"], shown["rows_reused"], shown["read/responses"]) == (20, 0, 7)


def test_lineage_names_columns_that_there_are_of_tables_upstream():
    order = list(TABLES)
    for table, columns in LINEAGE.items():
        assert columns.keys() <= TABLES[table].schema.keys()
        for origin, column in {pair for origins in columns.values() for pair in origins}:
            assert column in TABLES[origin].schema, (table, origin, column)
            assert order.index(origin) < order.index(table)


def test_the_ui_is_told_where_car_comes_from():
    (lineage,) = column_lineage("car_table").values()
    origins = {dependency.asset_key.to_user_string() for dependency in lineage.deps_by_column["car"]}
    assert origins == {"rewards", "base_losses"}
    assert column_lineage("raw_instructions") == {}
    assert isinstance(lineage, dg.TableColumnLineage)


def test_a_cell_can_neither_end_its_column_nor_bring_markup():
    bad = "a|b\\|c <script>x</script> ![i](http://x.test/) `code` \x1b[2J\u202e &lt;\n\nd"
    head, rule, row = preview(pl.DataFrame({"text": [bad], "n": [1]})).split("\n")
    assert head.count("|") == rule.count("|") == row.count("|") == 3
    assert not set("<>[]`\\\x1b\u202e") & set(row)
    assert html.unescape(row).startswith(
        "| a|b\\|c <script>x</script> ![i](http://x.test/) `code` \ufffd[2J\ufffd &lt; d"
    )
    assert listed([bad]).count("\n") == 0 and "<" not in listed([bad])
