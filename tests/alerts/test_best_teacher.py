"""A new best teacher causes an alert only if the data rule out that the old one is still first."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from preceptor.alerts.best_teacher import best_teacher_alert, best_teacher_changes
from preceptor.lake.schemas import CAR_TABLE

TEACHERS = ["ann", "bob", "cy", "dee"]


def row(teacher, rank, best=None, base="b1", car=None, missing=None):
    """A row of the CAR table. Without a rank, the teacher is not ranked."""
    car = car if car is not None or rank is None else 1 / rank
    why = "no responses" if rank is None and missing is None else missing
    return {
        "base": base,
        "teacher": teacher,
        "rank": rank,
        "rank_low": best if best is not None else rank,
        "rank_high": rank,
        "car": car,
        "car_low": None if car is None else car - 0.01,
        "car_high": None if car is None else car + 0.01,
        "missing": why,
    }


def table(*rows):
    return pl.DataFrame(rows, schema=CAR_TABLE.schema)


@st.composite
def tables(draw):
    """Rankings of some of the teachers for some of two bases, with intervals around each rank."""
    rows = []
    for base in draw(st.lists(st.sampled_from(["b1", "b2"]), unique=True)):
        teachers = draw(st.permutations(TEACHERS))[: draw(st.integers(1, len(TEACHERS)))]
        ranked = draw(st.integers(0, len(teachers)))
        for place, teacher in enumerate(teachers, 1):
            best = draw(st.integers(1, place))
            rows.append(row(teacher, place, best, base) if place <= ranked else row(teacher, None, base=base))
    return table(*rows)


@given(st.lists(tables(), max_size=6))
def test_the_announced_teacher_is_the_one_last_alerted_or_still_possible(history):
    announced = {}
    for found in history:
        changes, after = best_teacher_changes(announced, found)
        told = {change.base: change for change in changes}
        for base in found["base"].unique():
            rows = found.filter(base=base)
            first = rows.filter(rank=1)["teacher"].to_list()
            before = announced.get(base)
            own = rows.filter(teacher=before or "")
            excluded = own.is_empty() or own["rank"][0] is None or own["rank_low"][0] > 1
            if base in told:
                assert before is not None and first and before not in first and excluded
                assert (told[base].before, told[base].now["teacher"]) == (before, after[base])
            else:
                assert before is None or not first or not excluded
            if first and (before is None or base in told):
                assert after[base] == first[0]
            else:
                assert after.get(base) == before
        assert set(after) <= set(found["base"])
        # The same table causes no second alert.
        assert best_teacher_changes(after, found) == ([], after)
        announced = after


def test_a_new_base_is_recorded_without_an_alert():
    found = table(row("ann", 1), row("bob", 2), row("bob", 1, base="b2"))
    assert best_teacher_changes({}, found) == ([], {"b1": "ann", "b2": "bob"})


def test_only_a_change_beyond_the_intervals_causes_an_alert():
    within = table(row("bob", 1), row("ann", 2, best=1))
    assert best_teacher_changes({"b1": "ann"}, within) == ([], {"b1": "ann"})
    beyond = table(row("bob", 1), row("ann", 2, best=2))
    changes, announced = best_teacher_changes({"b1": "ann"}, beyond)
    assert announced == {"b1": "bob"}
    alert = best_teacher_alert(changes[0], 7)
    assert alert.text == (
        "the best teacher for b1 is now bob (CAR 1.0000 [0.9900, 1.0100]); it was ann,"
        " now rank 2 [2-2] (CAR 0.5000 [0.4900, 0.5100]). Version 7 of car_table"
    )
    assert alert.facts == {
        "base": "b1",
        "teacher": "bob",
        "car": 1.0,
        "before": "ann",
        "before_car": 0.5,
        "lake_version": 7,
    }


def test_many_small_drifts_cause_an_alert_in_the_end():
    announced = {"b1": "ann"}
    for step in (
        table(row("bob", 1), row("ann", 2, best=1), row("cy", 3, best=2)),
        table(row("cy", 1), row("bob", 2, best=1), row("ann", 3, best=1)),
    ):
        changes, announced = best_teacher_changes(announced, step)
        assert (changes, announced) == ([], {"b1": "ann"})
    changes, announced = best_teacher_changes(
        announced, table(row("cy", 1), row("bob", 2, best=1), row("ann", 3, best=2))
    )
    assert [(change.before, change.now["teacher"]) for change in changes] == [("ann", "cy")]


def test_an_alert_says_why_the_best_teacher_is_no_longer_ranked():
    gone = table(row("bob", 1, best=1))
    assert "it was ann, which left the study" in told(gone)
    # No alert if its file may be the unreadable one.
    assert best_teacher_changes({"b1": "ann"}, gone, whole=False) == ([], {"b1": "ann"})
    missing = table(row("bob", 1, best=1), row("ann", None, missing="no losses under b1"))
    assert "it was ann, which can no longer be ranked: no losses under b1" in told(missing)


def test_a_base_without_ranked_teachers_keeps_its_announcement_and_a_removed_base_loses_it():
    nobody = table(row("ann", None), row("ann", 1, base="b2"))
    assert best_teacher_changes({"b1": "ann", "b3": "bob"}, nobody) == ([], {"b1": "ann", "b2": "ann"})


def told(found):
    (change,), _ = best_teacher_changes({"b1": "ann"}, found)
    return best_teacher_alert(change, 1).text
