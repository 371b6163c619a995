"""People's ratings as a benchmark: shares with intervals, and an account of items that nobody rated."""

import csv

import pytest

from preceptor.evaluation.evaluate import evaluate
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.study.human_ratings import HumanRatings
from tests.evaluation.benchmarks import NOTHING_LOADED, job

FIELDS = ("item", "model", "rater", "rating", "other_model")


def ratings(tmp_path, rows, scale, **settings) -> HumanRatings:
    path = tmp_path / "ratings.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(FIELDS[: len(rows[0])])
        writer.writerows(rows)
    return HumanRatings(name="people", kind="human_ratings", path=str(path), scale=scale, **settings)


def run(lake, benchmark, name="run"):
    return evaluate(job(lake, benchmark, NOTHING_LOADED, name))


def values(found) -> dict[str, float]:
    return dict(found.scores.rows.select("metric", "value").iter_rows())


def test_limas_published_shares_come_out_of_fifty_rated_outputs(lake, tmp_path):
    """Excellent 25, pass 19, fail 6 of 50: 50, 38 and 12 % (arXiv 2305.11206, absolute quality)."""
    said = ["excellent"] * 25 + ["pass"] * 19 + ["fail"] * 6
    rows = [(f"prompt {n}", "run", "author", word) for n, word in enumerate(said)]
    found = run(lake, ratings(tmp_path, rows, "grade"))
    assert {name: values(found)[name] for name in ("excellent_share", "pass_share", "fail_share")} == {
        "excellent_share": 0.5,
        "pass_share": 0.38,
        "fail_share": 0.12,
    }
    row = found.scores.rows.row(0, named=True)
    assert (row["metric"], row["n"], row["judge"]) == ("excellent_share", 50, "people")
    assert row["low"] < 0.5 < row["high"]


def test_acceptance_is_a_share_and_raters_agreement_stands_beside_it(lake, tmp_path):
    rows = [(f"p{n}", "run", rater, "yes" if n < 3 else "no") for n in range(4) for rater in "ab"]
    rows[0] = ("p0", "run", "a", "NO ")
    found = run(lake, ratings(tmp_path, rows, "acceptance"))
    assert values(found) == {"acceptance_rate": pytest.approx(0.625), "rater_agreement": 0.75}
    assert found.items.rows.sort("item_id")["outcome"].to_list() == [0.5, 1.0, 1.0, 0.0]


def test_raters_agreement_is_that_about_this_runs_outputs(lake, tmp_path):
    """Two raters disagree on every output of A and agree on every one of B; one output of A has one rater."""
    rows = [
        (f"p{n}", model, rater, "yes" if model == "B" or rater == "x" else "no")
        for n in range(4)
        for model in "AB"
        for rater in "xy"
    ]
    people = ratings(tmp_path, [*rows, ("p4", "A", "x", "no")], "acceptance")
    a, b = (run(lake, people, name) for name in "AB")
    assert (values(a)["rater_agreement"], values(b)["rater_agreement"]) == (0.0, 1.0)
    said = a.scores.rows.filter(metric="rater_agreement")["method"].item()
    assert said.endswith("1 outputs have one rater")


def test_preferences_are_wins_ties_and_losses_against_the_reference_whoever_is_a(lake, tmp_path):
    rows = [
        ("p0", "run", "x", "clearly A", "chatgpt"),
        ("p1", "chatgpt", "x", "slightly A", "run"),
        ("p2", "run", "x", "tie", "chatgpt"),
        ("p3", "run", "x", "slightly B", "chatgpt"),
    ]
    found = run(lake, ratings(tmp_path, rows, "preference", reference="chatgpt"))
    again = [(item, model, "y", rating, other) for item, model, _, rating, other in rows]
    other = [("p0", "run", rater, f"clearly {rater}", "gpt-4") for rater in "AB"]  # who disagree
    twice = run(lake, ratings(tmp_path, [*rows, *again, *other], "preference", reference="chatgpt"))
    assert values(twice)["rater_agreement"] == 1.0
    shares = {name: value for name, value in values(found).items() if name.endswith("_share")}
    assert shares == {"win_share": 0.25, "tie_share": 0.25, "lose_share": 0.5}
    assert found.items.rows.sort("item_id")["outcome"].to_list() == [1.0, 0.0, 0.5, 0.0]
    assert set(found.scores.rows["reference"]) == {"chatgpt"}


def test_an_item_that_nobody_rated_for_this_run_is_failed_and_told(lake, tmp_path):
    rows = [("p0", "run", "x", "yes"), ("p0", "other", "x", "no"), ("p1", "other", "x", "no")]
    found = run(lake, ratings(tmp_path, rows, "acceptance"))
    assert str(found.account) == "1 judged + 1 failed + 0 filtered = 2, expected 2"
    nobody = run(lake, ratings(tmp_path, rows, "acceptance"), name="unrated")
    row = nobody.scores.rows.row(0, named=True)
    assert (row["value"], row["error"]) == (None, "no item has an outcome: no rating of 'unrated'")


def test_ratings_added_to_the_file_are_read_anew(lake, tmp_path):
    rows = [("p0", "run", "x", "yes")]
    run(lake, ratings(tmp_path, rows, "acceptance"))
    found = run(lake, ratings(tmp_path, [*rows, ("p1", "run", "x", "no")], "acceptance"))
    assert values(found)["acceptance_rate"] == 0.5


def test_a_row_with_another_word_is_refused_by_line(lake, tmp_path):
    rows = [("p0", "run", "x", "yes"), ("p1", "run", "x", "perhaps")]
    with pytest.raises(BenchmarkError, match=r"ratings\.csv:3: .*perhaps"):
        run(lake, ratings(tmp_path, rows, "acceptance"))


@pytest.mark.parametrize(("scale", "reference"), [("preference", None), ("grade", "chatgpt")])
def test_a_scale_and_its_reference_belong_together(tmp_path, scale, reference):
    with pytest.raises(ValueError, match="reference"):
        ratings(tmp_path, [("p", "run", "x", "yes")], scale, reference=reference)
