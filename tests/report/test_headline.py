"""The headline: which teacher ranks first, why, and how certain that is; and the parts of a lead."""

import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.report.headline import headline, sentences, told_apart
from preceptor.report.lead import Lead, lead, reason
from preceptor.suitability.metrics import car_metric

NUMBERS = st.floats(0.01, 100)
TEACHERS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=9)


def table(*rows, form="ratio", beta=3.0):
    """Rows of the CAR table: teacher, rank, best and worst rank, CAR's ends, reward, loss."""
    columns = "teacher rank rank_low rank_high car_low car_high mean_reward mean_loss".split()
    known = {"base": "notes", "missing": None, "form": form, "beta": beta}
    return pl.DataFrame(
        [known | dict(zip(columns, row, strict=True)) for row in rows], infer_schema_length=None
    )


@given(teachers=TEACHERS, beta=st.floats(0, 10), form=st.sampled_from(["ratio", "product"]))
def test_reward_and_loss_make_up_the_whole_lead(teachers, beta, form):
    rows = [(f"t{n}", 1, 1, 1, 0.0, 0.0, r, loss) for n, (r, loss) in enumerate(teachers)]
    found = lead(table(*rows, form=form, beta=beta), "t0")
    own, *others = (car_metric(form).of_means(r, loss, beta) for r, loss in teachers)
    average = math.exp(sum(map(math.log, others)) / len(others))
    assert found.whole == pytest.approx(own / average)
    assert found.reward == pytest.approx(
        teachers[0][0] / math.exp(sum(math.log(r) for r, _ in teachers[1:]) / len(others))
    )


@pytest.mark.parametrize(
    ("reward", "loss", "said"),
    [
        (1.5, 1.0, "by its reward"),
        (1.5, 0.9, "by its reward, despite a higher loss"),
        (0.9, 1.5, "by its low loss, despite a lower reward"),
        (1.0, 1.5, "by its low loss"),
        (1.5, 1.5, "by both its reward and its low loss"),
        (1.1, 3.0, "mostly by its low loss"),
        (3.0, 1.1, "mostly by its reward"),
        (1.0, 1.0, ""),
    ],
)
def test_the_reason_names_the_larger_part(reward, loss, said):
    assert reason(Lead(reward, loss), "ratio") == said
    assert reason(Lead(reward, loss), "product") == said.replace("low loss", "high loss").replace(
        "higher loss", "lower loss"
    )


A_LOW, A_HIGH = 0.20, 0.24
SURE = ("a", 1, 1, 1, A_LOW, A_HIGH, 0.5, 0.5)


def test_the_headline_names_the_cause_and_the_rivals():
    rows = table(("a", 1, 1, 2, A_LOW, A_HIGH, 0.5, 0.5), ("b", 2, 1, 2, 0.19, 0.23, 0.6, 0.7),
                 ("c", 3, 3, 3, 0.1, 0.11, 0.6, 1.5))  # fmt: skip
    found = headline(rows, "notes")
    assert (found.first, found.rank) == ("a", "rank 1 to 2 of 3")
    assert found.sentence.startswith("notes: a ranks first of 3 by its low loss, despite a lower reward;")
    assert "b could be first" in found.sentence and "c could" not in found.sentence
    assert "17 % smaller by its reward" in found.numbers


@pytest.mark.parametrize("overlap", [True, False])
def test_a_certain_rank_names_the_paired_comparison_and_overlapping_intervals(overlap):
    second = ("b", 2, 2, 2, 0.15, A_LOW + 0.01 if overlap else A_LOW - 0.01, 0.4, 0.5)
    rows = table(SURE, second)
    assert told_apart(rows) == overlap
    sentence = headline(rows, "notes").sentence
    assert "paired comparison" in sentence and "no other teacher could be first" in sentence
    assert ("intervals of CAR overlap" in sentence) == overlap
    unsure = rows.with_columns(rank_low=1, rank_high=2)
    assert not told_apart(unsure) and "paired" not in headline(unsure, "notes").sentence


def test_headlines_of_ties_few_rows_one_teacher_and_no_teacher():
    tie = table(SURE, ("b", 1, 1, 1, A_LOW, A_HIGH, 0.5, 0.5), ("c", 3, 3, 3, 0.1, 0.1, 0.2, 0.5))
    assert headline(tie, "notes").sentence.startswith("notes: a and b share rank 1 of 3;")
    assert (
        "a and b share rank 1 of 2; the data cannot separate them" in headline(tie.head(2), "notes").sentence
    )
    few = table(("a", 1, 1, 2, None, None, 0.5, 0.5), ("b", 2, 1, 2, None, None, 0.4, 0.5))
    assert "any of the 2 could be first" in headline(few, "notes").sentence
    assert "no other teacher to compare" in headline(table(SURE), "notes").sentence
    nobody = table(SURE).with_columns(missing=pl.lit("no responses"))
    assert sentences(nobody) == {"notes": "notes: no teacher is ranked."}
