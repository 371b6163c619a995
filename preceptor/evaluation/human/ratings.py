"""Reads people's ratings. An unusable row is an error, so that no row is dropped or guessed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import polars as pl

from preceptor.evaluation.agreement.labels import LABELS, LOSE, TIE, WIN
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.records import Row, read_records
from preceptor.study.fields import Records
from preceptor.text import repair

Scale = Literal["grade", "acceptance", "preference", "verdict"]
GRADES = ("excellent", "pass", "fail")  # LIMA, arXiv 2305.11206, section 4
ACCEPTANCE = ("yes", "no")  # Tülu 1, arXiv 2306.04751, human evaluation; so are the preferences
LABEL_OF_PREFERENCE = {"clearly A": WIN, "slightly A": WIN, "tie": TIE, "slightly B": LOSE, "clearly B": LOSE}
WORDS: dict[Scale, tuple[str, ...]] = {
    "grade": GRADES,
    "acceptance": ACCEPTANCE,
    "preference": tuple(LABEL_OF_PREFERENCE),
    "verdict": LABELS,
}
PAIRWISE: tuple[Scale, ...] = ("preference", "verdict")
MIRRORED = {WIN: LOSE, TIE: TIE, LOSE: WIN}
SCHEMA = dict.fromkeys(("item_id", "model", "other_model", "rater", "rating"), pl.String)


@dataclass(frozen=True)
class RatingColumns:
    """A file's columns. Ratings of two outputs have `other_model`: A is `model`, B is `other_model`."""

    item: str = "item"
    model: str = "model"
    rater: str = "rater"
    rating: str = "rating"
    other_model: str | None = None


def read_ratings(records: Records, scale: Scale, columns: RatingColumns) -> pl.DataFrame:
    """A row for each rating: item_id, model, other_model (null if one output was rated), rater and rating.

    Ratings are normalised to the spelling in WORDS. Raises BenchmarkError for a row with an empty cell, an
    unknown rating, or a repeated rating (of two models: in either order), and for a file without rows. Raises
    RecordsError for a bad file.
    """
    if (scale in PAIRWISE) != (columns.other_model is not None):
        raise BenchmarkError(f"ratings {records.origin}: {_misfit(scale)}")
    places: dict[tuple[str, ...], str] = {}
    rows = []
    for place, row in read_records(records):
        try:
            rating = _rating(row, scale, columns)
            _refuse_repeated(rating, places, place)
        except BenchmarkError as error:
            raise BenchmarkError(f"ratings {records.origin}, {place}: {error}") from error
        rows.append(rating)
    if not rows:
        raise BenchmarkError(f"ratings {records.origin}: the file has no rows")
    return pl.DataFrame(rows, schema=SCHEMA)


def preference_labels(ratings: pl.DataFrame) -> pl.DataFrame:
    """Ratings of two outputs as win, tie or lose (column `label`). Clearly and slightly better are equal.

    Models are swapped where needed, so that `model` sorts before `other_model`. Raises ValueError for ratings
    of one output.
    """
    label = pl.col("rating").replace(LABEL_OF_PREFERENCE)
    labels = ratings.with_columns(label=label)
    wrong = labels.filter(~pl.col("label").is_in(LABELS) | pl.col("other_model").is_null())
    if wrong.height:
        raise ValueError(f"a rating of two outputs is needed, not {wrong['rating'][0]!r} of one")
    turn = pl.col("model") > pl.col("other_model")
    return labels.with_columns(
        model=pl.min_horizontal("model", "other_model"),
        other_model=pl.max_horizontal("model", "other_model"),
        label=pl.when(turn).then(pl.col("label").replace(MIRRORED)).otherwise("label"),
    ).drop("rating")


def pairwise_labels(ratings: pl.DataFrame, model: str, other_model: str) -> pl.DataFrame:
    """Ratings of two models, whichever was A: item_id, rater, and label from `model`'s view."""
    label = pl.col("label") if model < other_model else pl.col("label").replace(MIRRORED)
    first, second = sorted((model, other_model))
    between = (pl.col("model") == first) & (pl.col("other_model") == second)
    return preference_labels(ratings).filter(between).select("item_id", "rater", label)


def _misfit(scale: Scale) -> str:
    if scale in PAIRWISE:
        return f"{scale!r} compares two models: name the other model's column in 'columns.other_model'"
    return f"{scale!r} rates one output: remove 'columns.other_model'"


def _rating(row: Row | str, scale: Scale, columns: RatingColumns) -> dict[str, str | None]:
    if isinstance(row, str):
        raise BenchmarkError(row)
    model = _cell(row, columns.model)
    other = None if columns.other_model is None else _cell(row, columns.other_model)
    if model == other:
        raise BenchmarkError(f"columns {columns.model!r} and {columns.other_model!r} are both {model!r}")
    return {
        "item_id": _cell(row, columns.item),
        "model": model,
        "other_model": other,
        "rater": _cell(row, columns.rater),
        "rating": _word(_cell(row, columns.rating), columns.rating, WORDS[scale]),
    }


def _word(written: str, column: str, words: Iterable[str]) -> str:
    for word in words:
        if _spelling(word) == _spelling(written):
            return word
    raise BenchmarkError(f"column {column!r} is {written!r}: use one of {', '.join(words)}")


def _spelling(word: str) -> str:
    return "".join(word.split()).casefold()


def _refuse_repeated(rating: dict[str, str | None], places: dict[tuple[str, ...], str], place: str) -> None:
    models = sorted(model for model in (rating["model"], rating["other_model"]) if model)
    key = (f"{rating['item_id']}", f"{rating['rater']}", *models)
    if key in places:
        raise BenchmarkError(
            f"repeats the rating by {key[1]!r} of item {key[0]!r} in {places[key]}: remove one of them"
        )
    places[key] = place


def _cell(row: Row, column: str) -> str:
    """The text or whole number in a column, without the blanks around it."""
    value = row.get(column)
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        there = ", ".join(map(str, list(row)[:8]))
        cure = "fill it" if column in row else "add it, or name another column in 'columns'"
        raise BenchmarkError(f"column {column!r} has no text (the row has {there}): {cure}")
    return repair(str(value).strip())
