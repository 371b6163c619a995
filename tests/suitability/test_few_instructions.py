"""A ranking of few instructions says so, with the number below which its intervals were found to miss."""

import polars as pl
import pytest

from preceptor.suitability.table import ENOUGH_ROWS, MINIMUM_ROWS, few_instructions


def table(*instructions: int) -> pl.DataFrame:
    teachers = [f"t{number}" for number in range(len(instructions))]
    return pl.DataFrame({"base": "b", "teacher": teachers, "instructions": instructions, "missing": None})


@pytest.mark.parametrize(
    ("fewest", "said"), [(MINIMUM_ROWS - 1, "every rank is possible"), (12, "92 of 100")]
)
def test_the_teacher_with_the_fewest_is_named(fewest, said):
    found = few_instructions(table(ENOUGH_ROWS, fewest, 15))
    assert f"t1's CAR for b stands on {fewest} instructions" in found and said in found


def test_enough_instructions_and_unranked_teachers_say_nothing():
    unranked = table(3).with_columns(missing=pl.lit("no responses"))
    assert few_instructions(pl.concat([table(ENOUGH_ROWS), unranked], how="vertical_relaxed")) == ""
