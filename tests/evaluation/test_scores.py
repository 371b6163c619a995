"""The account of a benchmark: judged + failed + filtered = expected, or there is no score."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.checks import accounting
from preceptor.evaluation.evaluate import evaluate
from preceptor.evaluation.job import ScoredItems
from preceptor.evaluation.kinds import KINDS
from preceptor.evaluation.scores import Account
from preceptor.lake.schemas import EVAL_RESULTS
from tests.evaluation.benchmarks import Student, checkers, engines, job, sums

STATES = {
    "judged": {"outcome": 1.0},
    "failed": {"error": "no answer"},
    "filtered": {"error": "withheld", "filtered": "withheld"},
}


@given(st.lists(st.sampled_from(sorted(STATES)), max_size=30), st.integers(0, 3))
def test_every_row_is_counted_once_and_lost_rows_are_detected(states, lost):
    rows = [{"item_id": str(n), "sample": 0, **STATES[state]} for n, state in enumerate(states)]
    account = Account.of(pl.DataFrame(rows, schema=EVAL_RESULTS.row_schema), len(states) + lost)
    assert (account.judged, account.failed, account.filtered) == tuple(
        states.count(state) for state in ("judged", "failed", "filtered")
    )
    assert account.balanced == (lost == 0)
    assert accounting(account).passed == (lost == 0)


def test_the_check_describes_the_sum():
    check = accounting(Account(expected=805, judged=650, failed=5, filtered=0))
    assert not check.passed
    assert check.description == "650 judged + 5 failed + 0 filtered = 655, expected 805"
    assert check.metadata["expected"].value == 805


def test_a_benchmark_that_lost_an_item_has_an_error_instead_of_a_value(lake, tmp_path, monkeypatch):
    whole = KINDS["checkers"]

    def losing(job):
        found = whole.score_items(job)
        return ScoredItems(found.results, found.expected + 1)

    monkeypatch.setitem(KINDS, "checkers", type(whole)(**{**vars(whole), "score_items": losing}))
    found = evaluate(job(lake, checkers(tmp_path, sums(4)), engines(Student(str.upper))))
    assert not found.account.balanced
    (row,) = found.scores.rows.to_dicts()
    assert row["value"] is None
    assert row["error"] == ("the account does not balance: 4 judged + 0 failed + 0 filtered = 4, expected 5")


def test_every_score_has_the_account(lake, tmp_path):
    student = Student(str.upper, fails=lambda instruction: "too long" if instruction[0] == "2" else None)
    found = evaluate(job(lake, checkers(tmp_path, sums(4)), engines(student)))
    (row,) = found.scores.rows.to_dicts()
    assert [row[name] for name in ("expected", "judged", "failed", "filtered", "n")] == [4, 3, 1, 0, 3]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_evaluation_has_all_its_parts(kind):
    parts = vars(KINDS[kind])
    assert all(callable(part) for part in parts.values()) and "check" in parts
