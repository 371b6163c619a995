"""Rating files become rows one by one, or a sentence says which row does not."""

import csv
import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preceptor.evaluation.human.ratings import (
    SCHEMA,
    WORDS,
    RatingColumns,
    pairwise_labels,
    preference_labels,
    read_ratings,
)
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.records import RecordsError
from preceptor.study.fields import Records

PAIRS = RatingColumns(other_model="other")
quick = settings(max_examples=30)


def rated(tmp_path, rows, header=("item", "model", "rater", "rating")):
    path = tmp_path / "ratings.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return Records(path=str(path))


def compared(tmp_path, rows):
    return rated(tmp_path, rows, ("item", "model", "other", "rater", "rating"))


def test_every_row_is_a_rating_in_the_files_order_and_the_scales_words(tmp_path):
    rows = [("1", "lima", "ann", " Excellent"), ("1", "lima", "bob", "FAIL "), ("2", " lima ", "ann", "pass")]
    found = read_ratings(rated(tmp_path, rows), "grade", RatingColumns())
    assert found.rows() == [
        ("1", "lima", None, "ann", "excellent"),
        ("1", "lima", None, "bob", "fail"),
        ("2", "lima", None, "ann", "pass"),
    ]
    assert found.schema == SCHEMA


def test_columns_can_have_other_names_and_other_files_serve_too(tmp_path):
    path = tmp_path / "ratings.jsonl"
    path.write_text(json.dumps({"q": 7, "a": "tulu", "b": "chatgpt", "who": 1, "said": "SLIGHTLY b"}) + "\n")
    columns = RatingColumns("q", "a", "who", "said", other_model="b")
    found = read_ratings(Records(path=str(path)), "preference", columns)
    assert found.rows() == [("7", "tulu", "chatgpt", "1", "slightly B")]


@pytest.mark.parametrize("scale", WORDS)
def test_every_word_is_read_whatever_its_case_and_blanks(tmp_path, scale):
    pairwise = scale in ("preference", "verdict")
    rows = [
        (n, "a", *(["b"] if pairwise else []), "ann", f" {word.upper().replace(' ', '  ')} ")
        for n, word in enumerate(WORDS[scale])
    ]
    records = (compared if pairwise else rated)(tmp_path, rows)
    found = read_ratings(records, scale, PAIRS if pairwise else RatingColumns())
    assert found["rating"].to_list() == list(WORDS[scale])


@quick
@given(st.sampled_from([(scale, word) for scale, words in WORDS.items() for word in words]), st.data())
def test_spelling_knows_no_case_and_no_blanks(tmp_path_factory, word, data):
    written = "".join(data.draw(st.sampled_from([c, c.upper(), f" {c}", f"{c}\t"])) for c in word[1])
    records = compared(tmp_path_factory.mktemp("spelled"), [("1", "a", "b", "ann", written)])
    columns = PAIRS if word[0] in ("preference", "verdict") else RatingColumns()
    assert read_ratings(records, word[0], columns)["rating"].to_list() == [word[1]]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("2", "lima", "ann", "good"), "column 'rating' .*'good': .*excellent, pass, fail$"),
        (
            ("2", "lima", "ann", ""),
            r"column 'rating' .*\(the row has item, model, rater, rating\)",
        ),
        (("2", "lima", "ann"), "fewer fields than the header"),
        (("2", " ", "ann", "pass"), "column 'model' "),
        (("", "lima", "ann", "pass"), "column 'item' "),
        (("2", "lima", "\t", "pass"), "column 'rater' "),
        (("2", "lima", "ann", "pass", "x"), "more fields than the header"),
        (
            ("1", "lima", "ann ", "fail"),
            r"repeats the rating by 'ann' of item '1' in ratings.csv:2",
        ),
    ],
)
def test_a_row_that_is_no_rating_refuses_the_file(tmp_path, row, message):
    records = rated(tmp_path, [("1", "lima", "ann", "pass"), row])
    with pytest.raises(BenchmarkError, match=message) as refused:
        read_ratings(records, "grade", RatingColumns())
    assert "ratings.csv, ratings.csv:3: " in str(refused.value)


def test_a_missing_column_is_named(tmp_path):
    with pytest.raises(BenchmarkError, match=r"column 'who' .* in 'columns'"):
        read_ratings(rated(tmp_path, [("1", "lima", "ann", "pass")]), "grade", RatingColumns(rater="who"))


def test_the_same_pair_in_the_other_order_is_a_repeated_rating(tmp_path):
    rows = [("1", "a", "b", "ann", "win"), ("1", "a", "c", "ann", "win"), ("1", "b", "a", "bob", "win")]
    assert read_ratings(compared(tmp_path, rows), "verdict", PAIRS).height == 3
    with pytest.raises(BenchmarkError, match=r"ratings.csv:5: repeats the rating by 'ann' of item '1'"):
        read_ratings(compared(tmp_path, [*rows, ("1", "b", "a", "ann", "lose")]), "verdict", PAIRS)


def test_a_model_is_not_compared_with_itself(tmp_path):
    with pytest.raises(BenchmarkError, match=r"columns 'model' and 'other' .*'a'"):
        read_ratings(compared(tmp_path, [("1", "a", "a", "ann", "tie")]), "verdict", PAIRS)


def test_scale_and_columns_must_fit(tmp_path):
    records = rated(tmp_path, [("1", "lima", "ann", "win")])
    with pytest.raises(BenchmarkError, match=r"'verdict' compares two models: .*'columns.other_model'"):
        read_ratings(records, "verdict", RatingColumns())
    with pytest.raises(BenchmarkError, match=r"'grade' rates one output: .*'columns.other_model'"):
        read_ratings(records, "grade", PAIRS)


def test_an_empty_or_damaged_file_is_refused(tmp_path):
    with pytest.raises(BenchmarkError, match="the file has no rows"):
        read_ratings(rated(tmp_path, []), "grade", RatingColumns())
    (tmp_path / "ratings.csv").write_text('item,model\n1,"unfinished\n')
    with pytest.raises(RecordsError, match=r"ratings.csv:2: the row on line 2: unexpected end of data"):
        read_ratings(Records(path=str(tmp_path / "ratings.csv")), "grade", RatingColumns())


def test_preferences_become_labels_from_either_models_view():
    words = ["clearly A", "slightly A", "tie", "slightly B", "clearly B"]
    rows = [(f"{n}", "tulu", "chatgpt", "ann", word) for n, word in enumerate(words)]
    ratings = pl.DataFrame([*rows, ("9", "chatgpt", "tulu", "ann", "clearly A")], schema=SCHEMA, orient="row")
    assert pairwise_labels(ratings, "tulu", "chatgpt")["label"].to_list() == [
        "win",
        "win",
        "tie",
        "lose",
        "lose",
        "lose",
    ]
    assert pairwise_labels(ratings, "chatgpt", "tulu")["label"].to_list() == [
        "lose",
        "lose",
        "tie",
        "win",
        "win",
        "win",
    ]
    assert pairwise_labels(ratings, "tulu", "bard").height == 0
    assert set(preference_labels(ratings).select("model", "other_model").rows()) == {("chatgpt", "tulu")}


def test_ratings_of_one_output_are_no_preferences():
    ratings = pl.DataFrame([("1", "lima", None, "ann", "pass")], schema=SCHEMA, orient="row")
    with pytest.raises(ValueError, match="a rating of two outputs is needed, not 'pass' of one"):
        preference_labels(ratings)
