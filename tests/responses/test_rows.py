"""Nothing is built on a teacher of whom too many responses failed."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.responses.rows import FailingTeacherError, refuse_failing


def responses(failed: int, good: int) -> pl.DataFrame:
    return pl.DataFrame({"error": ["broken"] * failed + [None] * good}, schema={"error": pl.String})


@given(failed=st.integers(0, 30), good=st.integers(0, 30), percent=st.integers(0, 100))
def test_more_failures_than_the_limit_allows_are_refused(failed, good, percent):
    beyond = 100 * failed > percent * (failed + good)
    try:
        refuse_failing("t", responses(failed, good), percent / 100)
    except FailingTeacherError:
        assert beyond
    else:
        assert not beyond or abs(failed - percent / 100 * (failed + good)) < 1e-9


def test_the_refusal_says_how_many_and_what_to_do():
    with pytest.raises(FailingTeacherError, match=r"'t': 4 of 12 responses failed, .*0.05.* retry_failed"):
        refuse_failing("t", responses(4, 8), 0.05)
