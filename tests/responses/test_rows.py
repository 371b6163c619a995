"""Rows in groups: what an engine finished before it failed is not lost."""

import pytest

from preceptor.responses.rows import groups


def failing(good: int):
    yield from range(good)
    raise ConnectionError("the engine died")


@pytest.mark.parametrize(
    ("good", "expected"), [(0, []), (2, [[0, 1]]), (3, [[0, 1, 2]]), (4, [[0, 1, 2], [3]])]
)
def test_rows_finished_before_a_failure_are_handed_on_before_it(good, expected):
    found = []
    with pytest.raises(ConnectionError, match="the engine died"):
        for group in groups(failing(good), 3):
            found.append(group)
    assert found == expected


def test_the_last_group_may_be_shorter():
    assert list(groups(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(groups([], 3)) == []
