"""Rewards that moved are noticed, once and for a week, whoever publishes what in between."""

import statistics
import time
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.lake.history import history
from preceptor.lake.schemas import REWARDS
from preceptor.lake.store import LakeError
from preceptor.rewards.drift import RECENT, Drift, drift, drift_since_last_week

PLACE = {"reward_model": "rm", "teacher": "t"}
REWARD = st.none() | st.floats(-100, 100).map(lambda number: round(number, 3))
SCORED = st.dictionaries(st.integers(0, 12).map(lambda number: f"r{number}"), REWARD)


def frame(scored):
    rows = [(name, "i", 0, reward, None if reward is not None else "none") for name, reward in scored.items()]
    return pl.DataFrame(rows, schema=REWARDS.row_schema, orient="row")


def publish(lake, scored, place=PLACE, fingerprint="f"):
    return lake.publish(REWARDS, frame(scored), place, fingerprint).version


@given(SCORED, SCORED)
def test_the_shift_is_the_paired_one_in_units_of_the_earlier_spread(before, after):
    pairs = [(before[name], after[name]) for name in sorted(before.keys() & after.keys())]
    pairs = [pair for pair in pairs if None not in pair]
    found = drift(frame(before), frame(after), 3)
    if len(pairs) < 2:
        assert found is None
        return
    earlier, now = zip(*pairs, strict=True)
    assert (found.version, found.pairs) == (3, len(pairs))
    assert found.earlier == pytest.approx(statistics.fmean(earlier))
    assert found.now == pytest.approx(statistics.fmean(now))
    if len(set(earlier)) > 1:
        moved = statistics.fmean(after - before for before, after in pairs) / statistics.pstdev(earlier)
        assert found.shift == pytest.approx(moved, abs=1e-9)
    else:
        assert found.shift == (0.0 if set(now) == set(earlier) else None)


@pytest.mark.parametrize(
    "shift,held", [(0.0, True), (0.2, True), (-0.2, True), (-0.21, False), (None, False)]
)
def test_a_bound_holds_in_both_directions(shift, held):
    assert Drift(1, 10, 0.5, 0.6, shift).within(0.2) is held


def test_what_was_never_scored_before_has_not_drifted(lake):
    assert drift_since_last_week(lake, PLACE, frame({"a": 1.0, "b": 2.0})) is None
    publish(lake, {"a": 1.0, "b": 2.0})
    assert drift_since_last_week(lake, PLACE, frame({"a": 1.0, "b": 2.0})) is None


def test_a_drift_is_seen_by_each_materialization_of_a_week_and_by_none_after_it(lake):
    version = publish(lake, {"a": 1.0, "b": 3.0})
    publish(lake, {"a": 7.0, "b": 7.0}, {**PLACE, "teacher": "another"})
    moved = {"a": 2.0, "b": 4.0}
    publish(lake, moved)
    # The process that published was killed before it looked; this one publishes nothing.
    found = drift_since_last_week(lake, PLACE, frame(moved))
    assert found == Drift(version, 2, 2.0, 3.0, 1.0)
    assert "2 responses was 2 in version" in str(found) and "+1 sd" in str(found)
    late = datetime.now(UTC) + RECENT
    assert drift_since_last_week(lake, PLACE, frame(moved), late - timedelta(minutes=1)) == found
    assert drift_since_last_week(lake, PLACE, frame(moved), late + timedelta(minutes=1)) is None


def test_rewards_that_are_older_than_a_week_are_what_new_ones_are_held_against(lake):
    version = publish(lake, {"a": 1.0, "b": 3.0})
    time.sleep(0.01)  # the log counts milliseconds
    publish(lake, {"a": 2.0, "b": 4.0})
    last = history(lake, REWARDS)[0].time
    assert drift_since_last_week(lake, PLACE, frame({"a": 2.0, "b": 4.0}), last + RECENT).version == version


def test_rows_that_join_later_do_not_hide_a_drift_and_going_back_ends_it(lake):
    first, moved = {"a": 1.0, "b": 3.0}, {"a": 2.0, "b": 4.0}
    for rows in (first, moved, {**moved, "c": 9.0}):
        publish(lake, rows)
    assert drift_since_last_week(lake, PLACE, frame({**moved, "c": 9.0})).shift == 1.0
    publish(lake, {**first, "c": 9.0})
    assert drift_since_last_week(lake, PLACE, frame({**first, "c": 9.0})).shift == 0.0


def test_small_steps_of_one_week_add_up(lake):
    for step in range(5):
        rows = {"a": 1.0 + step / 10, "b": 3.0 + step / 10}
        publish(lake, rows)
    assert drift_since_last_week(lake, PLACE, frame(rows)).shift == pytest.approx(0.4)


def test_earlier_rewards_that_were_vacuumed_are_named(lake):
    publish(lake, {"a": 1.0, "b": 3.0})
    publish(lake, {"a": 2.0, "b": 4.0})
    lake.open(REWARDS).vacuum(0, dry_run=False, enforce_retention_duration=False)
    with pytest.raises(LakeError, match="the earlier rewards are gone"):
        drift_since_last_week(lake, PLACE, frame({"a": 2.0, "b": 4.0}))
