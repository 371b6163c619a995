"""The loop that losses and rewards share, and the columns that its rows have."""

import logging
from dataclasses import dataclass, fields, replace

import polars as pl
import pytest

from preceptor.compute import reward as compute_reward
from preceptor.compute.loss import ResponseLoss
from preceptor.compute.request import Generation
from preceptor.lake.schemas import (
    BASE_LOSSES,
    RAW_INSTRUCTIONS,
    RESPONSES,
    REWARDS,
    UndeclaredColumnError,
)
from preceptor.responses.rows import response_frame, response_row
from preceptor.rewards import judge
from preceptor.scoring import IDENTITY, score_responses, scoring_work

INSTRUCTIONS = RAW_INSTRUCTIONS.frame(
    [{"instruction_id": f"i{n}", "turns": [f"Question {n}?"]} for n in range(4)]
)
ERRORS = (None, "no answer", None, None)
PLACES = ((BASE_LOSSES, {"base": "x", "teacher": "t"}), (REWARDS, {"reward_model": "rm", "teacher": "t"}))
SCORES = {"base_losses": ResponseLoss(tokens=3, nll_sum=1.5), "rewards": compute_reward.Reward(0.5)}
EACH = pytest.mark.parametrize(("table", "place"), PLACES, ids=lambda value: getattr(value, "name", ""))


@dataclass
class WiderLoss(ResponseLoss):
    """One more sum, which no table declares yet."""

    surprise_sum: float = 2.5


class Fixed:
    """An engine that gives every response the same score, and breaks after so many."""

    def __init__(self, score, breaks_after=99):
        self.score, self.breaks_after, self.asked = score, breaks_after, []
        self.facts = {}

    def stream(self, conversations):
        for number, conversation in enumerate(conversations):
            if number == self.breaks_after:
                raise ConnectionError("gone")
            self.asked.append(conversation.user)
            self.facts["passes"] = number + 1
            yield number, self.score


def responses():
    return response_frame(
        [
            response_row("t", f"i{n}", f"p{n}", 0, () if error else ("An answer.",), error)
            for n, error in enumerate(ERRORS)
        ]
    )


def score(lake, table, place, engine):
    work = scoring_work(table, place, "f1", responses(), INSTRUCTIONS, retry_failed=False)
    return score_responses(lake, work, lambda: engine)


@EACH
def test_failed_responses_get_an_error_and_all_others_a_score(lake, table, place):
    engine = Fixed(SCORES[table.name])
    outcome = score(lake, table, place, engine)
    assert outcome.rows["error"].to_list() == [None, "no response: no answer", None, None]
    assert engine.asked == [("Question 0?",), ("Question 2?",), ("Question 3?",)]
    assert outcome.facts["passes"] == 3
    assert score(lake, table, place, Fixed(SCORES[table.name])).computed == 0


@EACH
def test_what_an_engine_did_is_logged_when_it_breaks_off(lake, table, place, caplog):
    caplog.set_level(logging.INFO)
    with pytest.raises(ConnectionError):
        score(lake, table, place, Fixed(SCORES[table.name], breaks_after=1))
    assert f"{table.name} {' × '.join(place.values())}: 1 passes" in caplog.text
    engine = Fixed(SCORES[table.name])
    score(lake, table, place, engine)
    assert len(engine.asked) == 2  # what was finished before was kept


def test_a_sum_that_no_table_declares_is_refused_by_name(lake):
    table, place = PLACES[0]
    with pytest.raises(UndeclaredColumnError, match=r"table base_losses .* surprise_sum"):
        score(lake, table, place, Fixed(WiderLoss()))


def test_a_declared_sum_is_stored_and_null_in_rows_that_were_there(lake):
    table, place = PLACES[0]
    score(lake, table, place, Fixed(ResponseLoss(tokens=3)))
    wider = replace(table, columns=table.columns | {"surprise_sum": (pl.Float64, "nats")})
    work = scoring_work(wider, place | {"base": "y"}, "f1", responses(), INSTRUCTIONS, retry_failed=False)
    score_responses(lake, work, lambda: Fixed(WiderLoss()))
    sums = lake.read(wider).sort("base", "instruction_id").group_by("base", maintain_order=True)
    assert [rows["surprise_sum"].to_list() for _, rows in sums] == [[None] * 4, [2.5, None, 2.5, 2.5]]


@pytest.mark.parametrize("table", [REWARDS, RESPONSES])
def test_no_way_into_a_table_drops_a_column_in_silence(lake, table):
    rows = table.frame([dict.fromkeys(table.key)]).with_columns(extra=pl.lit(1))
    for store in (
        lambda: table.conform(rows),
        lambda: table.frame(rows.to_dicts()),
        lambda: lake.publish(table, rows, dict.fromkeys(table.partition_by, "t"), "f1"),
        lambda: lake.append(table, rows, dict.fromkeys(table.partition_by, "t"), "f1", "once"),
    ):
        with pytest.raises(UndeclaredColumnError, match=rf"table {table.name} .* extra"):
            store()


@pytest.mark.parametrize(
    ("table", "result"),
    [(BASE_LOSSES, ResponseLoss), (REWARDS, compute_reward.Reward), (REWARDS, judge.Reward)],
)
def test_what_engines_compute_is_what_the_tables_declare(table, result):
    assert [*IDENTITY, *(field.name for field in fields(result))] == list(table.columns)


def test_what_a_teacher_says_is_what_responses_declare():
    told = {"source_id": None, **vars(Generation())}
    row = response_row("t", "i", "p", 0, **told)
    assert set(row) == set(RESPONSES.columns)
