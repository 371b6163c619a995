"""Figures from ratings against the papers' published ones and counts by hand."""

import csv
import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from preceptor.evaluation.human.audits import (
    acceptance_rate,
    grade_shares,
    pairwise_agreement,
    pairwise_shares,
    rater_agreement,
)
from preceptor.evaluation.human.ratings import GRADES, LABELS, SCHEMA, RatingColumns, read_ratings
from preceptor.statistics.estimates import NOTHING, Estimate
from preceptor.study.fields import Records

quick = settings(max_examples=30)
raters = st.sampled_from(["ann", "bob", "eve"])
graded = st.dictionaries(st.tuples(st.integers(0, 4), raters), st.sampled_from(GRADES), min_size=1)
judged = st.dictionaries(st.tuples(st.integers(0, 4), raters), st.sampled_from(LABELS), min_size=1)
MIRROR = {"win": "lose", "tie": "tie", "lose": "win"}


def frame(rows):
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def grades(said):
    return frame([(f"{item}", "lima", None, rater, word) for (item, rater), word in said.items()])


def verdicts(said):
    return frame([(f"{item}", "lima", "bard", rater, word) for (item, rater), word in said.items()])


def wilson(count, n):
    interval = binomtest(count, n).proportion_ci(method="wilson")
    return pytest.approx((count / n, interval.low, interval.high))


def triple(share):
    return share.estimate.value, share.estimate.low, share.estimate.high


def test_limas_audit_of_50_outputs_comes_out(tmp_path):
    """LIMA, section 4.3: 50 % excellent, 38 % pass, 12 % fail of 50."""
    words = ["excellent"] * 25 + ["Pass"] * 19 + ["fail "] * 6
    random.Random(0).shuffle(words)
    with (tmp_path / "audit.csv").open("w", newline="") as file:
        rows = [(n, "LIMA 65B", "author", word) for n, word in enumerate(words)]
        csv.writer(file).writerows([("item", "model", "rater", "rating"), *rows])
    ratings = read_ratings(Records(path=str(tmp_path / "audit.csv")), "grade", RatingColumns())
    found = grade_shares(ratings, "LIMA 65B")
    assert [found[grade].estimate.value for grade in GRADES] == pytest.approx([0.50, 0.38, 0.12])
    assert triple(found["fail"]) == wilson(6, 50)
    assert {(share.n, share.ratings) for share in found.values()} == {(50, 50)}


def test_tulus_duels_and_acceptance_come_out():
    """Tülu 1, human evaluation, 332 prompts: 27.7 / 33.1 / 39.2 % against ChatGPT; 79.8 % accepted."""
    words = (
        ["clearly A"] * 40 + ["slightly A"] * 52 + ["tie"] * 110 + ["slightly B"] * 80 + ["clearly B"] * 50
    )
    ratings = frame([(f"{n}", "tulu-65b", "chatgpt", "ann", word) for n, word in enumerate(words)])
    found = pairwise_shares(ratings, "tulu-65b", "chatgpt")
    assert [round(100 * found[label].estimate.value, 1) for label in LABELS] == [27.7, 33.1, 39.2]
    assert triple(found["win"]) == wilson(92, 332)
    yes = frame([(f"{n}", "tulu-65b", None, "ann", "yes" if n < 265 else "no") for n in range(332)])
    assert round(100 * acceptance_rate(yes, "tulu-65b").estimate.value, 1) == 79.8
    assert triple(acceptance_rate(yes, "tulu-65b")) == wilson(265, 332)


def test_an_item_counts_once_however_many_rated_it():
    said = {(0, "ann"): "pass", (0, "bob"): "pass", (0, "eve"): "fail", (1, "ann"): "fail"}
    found = grade_shares(grades(said), "lima")
    assert found["pass"].estimate.value == pytest.approx((2 / 3 + 0) / 2)
    assert (found["pass"].n, found["pass"].ratings) == (2, 4)


def test_other_models_ratings_do_not_count():
    rows = [
        ("0", "lima", None, "ann", "yes"),
        ("0", "bard", None, "ann", "no"),
        ("1", "bard", None, "ann", "yes"),
    ]
    assert triple(acceptance_rate(frame(rows), "lima")) == wilson(1, 1)
    assert triple(acceptance_rate(frame(rows), "bard")) == wilson(1, 2)


@quick
@given(graded)
def test_shares_sum_to_one_stay_in_bounds_and_ignore_the_rows_order(said):
    found = grade_shares(grades(said), "lima")
    assert sum(share.estimate.value for share in found.values()) == pytest.approx(1)
    for share in found.values():
        assert 0 <= share.estimate.low <= share.estimate.value <= share.estimate.high <= 1
    assert grade_shares(grades(said).reverse(), "lima") == found


@quick
@given(judged)
def test_a_models_wins_are_the_others_losses_whoever_was_shown_as_a(said):
    found = pairwise_shares(verdicts(said), "lima", "bard")
    other = pairwise_shares(verdicts(said), "bard", "lima")
    assert (found["win"], found["tie"], found["lose"]) == (other["lose"], other["tie"], other["win"])
    turned = frame([(f"{i}", "bard", "lima", rater, MIRROR[word]) for (i, rater), word in said.items()])
    assert pairwise_shares(turned, "lima", "bard") == found
    assert pairwise_agreement(turned) == pairwise_agreement(verdicts(said))


def test_rater_agreement_by_hand():
    said = {
        **dict(zip([(0, "ann"), (0, "bob"), (0, "eve")], ["pass", "pass", "fail"], strict=True)),  # 1 of 3
        **dict(zip([(1, "ann"), (1, "bob")], ["fail", "fail"], strict=True)),  # 1 of 1
        (2, "ann"): "excellent",
    }
    found = rater_agreement(grades(said))
    assert found.estimate.value == pytest.approx((1 / 3 + 1) / 2)
    assert (found.n, found.pairs, found.left_out) == (2, 4, 1)


def test_two_outputs_of_an_item_are_one_item():
    """Tülu's acceptance: both outputs of a prompt are marked by both raters."""
    rows = [
        *(("0", "lima", None, rater, word) for rater, word in (("ann", "yes"), ("bob", "yes"))),
        *(("0", "bard", None, rater, word) for rater, word in (("ann", "yes"), ("bob", "no"))),
    ]
    found = rater_agreement(frame(rows))
    assert (found.estimate.value, found.n, found.pairs, found.left_out) == (0.5, 1, 2, 0)


def test_duel_agreement_discounts_ties_and_merges_clearly_and_slightly():
    rows = [
        *(("0", "a", "b", rater, word) for rater, word in (("ann", "clearly A"), ("bob", "slightly A"))),  # 1
        *(("1", "a", "b", rater, word) for rater, word in (("ann", "tie"), ("bob", "clearly B"))),  # 1/2
        ("2", "a", "b", "ann", "slightly B"),
        ("2", "b", "a", "bob", "slightly B"),  # the other way round: 0
        ("3", "a", "b", "ann", "tie"),
    ]
    found = pairwise_agreement(frame(rows))
    assert found.estimate.value == pytest.approx((1 + 0.5 + 0) / 3)
    assert (found.n, found.pairs, found.left_out) == (3, 3, 1)


@quick
@given(judged)
def test_raters_who_all_say_the_same_agree_fully(said):
    first = {item: word for (item, _), word in reversed(said.items())}
    found = pairwise_agreement(verdicts({key: first[key[0]] for key in said}))
    several = len(said) > len(first)
    assert found.estimate.value == (1.0 if several else None)
    assert (found.estimate.error is None) == several


def test_nothing_rated_is_an_error():
    nothing = Estimate(error=NOTHING)
    assert acceptance_rate(frame([]), "lima").estimate == nothing
    assert {share.estimate for share in grade_shares(frame([]), "lima").values()} == {nothing}
    assert pairwise_shares(frame([]), "a", "b")["win"].estimate == nothing
    assert rater_agreement(frame([])).estimate == pairwise_agreement(frame([])).estimate == nothing
    assert acceptance_rate(frame([("0", "bard", None, "ann", "yes")]), "lima").estimate == nothing


def test_figures_of_another_scale_are_refused():
    yes = frame([("0", "lima", None, "ann", "yes")])
    with pytest.raises(ValueError, match=r"ratings of lima .*'yes': .*excellent, pass, fail"):
        grade_shares(yes, "lima")
    with pytest.raises(ValueError, match="two outputs is needed"):
        pairwise_shares(yes, "lima", "bard")
    with pytest.raises(ValueError, match="pairwise_agreement"):
        rater_agreement(verdicts({(0, "ann"): "win"}))
