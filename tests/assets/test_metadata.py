"""What the UI shows of a materialization."""

import html
from dataclasses import replace

import polars as pl

from assets.metadata import listed, materialized, preview
from preceptor.lake.resume import complete
from tests.lake.samples import answers, work


def test_counts_rates_and_versions_are_shown_and_the_tables_own_count_of_failures_wins(lake):
    outcome = complete(lake, work(), lambda missing: (answers(missing) for _ in "1"))
    facts = {"tokens_per_second": 12.5, "mfu": 0.41, "rows_failed": -1}
    shown = materialized(lake, replace(outcome, facts=facts), read={"responses": 7}).metadata
    assert shown["rows_failed"] == 20
    assert (shown["tokens_per_second"], shown["mfu"]) == (12.5, 0.41)
    assert (shown["rows_computed"], shown["rows_reused"], shown["read/responses"]) == (20, 0, 7)


def test_a_cell_can_neither_end_its_column_nor_bring_markup():
    bad = "a|b\\|c <script>x</script> ![i](http://x.test/) `code` \x1b[2J\u202e &lt;\n\nd"
    head, rule, row = preview(pl.DataFrame({"text": [bad], "n": [1]})).split("\n")
    assert head.count("|") == rule.count("|") == row.count("|") == 3
    assert not set("<>[]`\\\x1b\u202e") & set(row)
    assert html.unescape(row).startswith(
        "| a|b\\|c <script>x</script> ![i](http://x.test/) `code` \ufffd[2J\ufffd &lt; d"
    )
    assert listed([bad]).count("\n") == 0 and "<" not in listed([bad])
