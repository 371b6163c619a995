"""Resumable work computes each row once, and readers see only complete partitions of one fingerprint."""

from dataclasses import replace

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from preceptor.lake.resume import complete, derive, put
from preceptor.lake.schemas import REWARDS
from preceptor.lake.store import Lake, LakeError
from tests.lake.samples import (
    CHUNK,
    STAGING,
    UNPARTITIONED,
    answers,
    finish,
    in_rows,
    partition,
    read_rows,
    rewards,
    work,
)


class Interrupted(Exception):
    pass


class Scorer:
    """Computes rows in chunks and records them. Can stop with an error before a chunk."""

    def __init__(self, fingerprint="f1", stop_before=None):
        self.fingerprint = fingerprint
        self.stop_before = stop_before
        self.computed = []

    def __call__(self, missing):
        for number, chunk in enumerate(missing.iter_slices(CHUNK)):
            if number == self.stop_before:
                raise Interrupted
            self.computed += names(chunk)
            yield from finish(chunk, self.fingerprint)


def names(rows):
    return rows["response_id"].to_list()


def run_inside_first_read(monkeypatch, tables, action):
    """Run `action` once, right after the first read of one of the tables has returned its rows."""
    read, pending = Lake.read, [action]

    def hooked(lake, table, *arguments, **options):
        rows = read(lake, table, *arguments, **options)
        if pending and table.name in {wanted.name for wanted in tables}:
            pending.pop()()
        return rows

    monkeypatch.setattr(Lake, "read", hooked)


def test_all_rows_are_computed_and_published_in_the_wanted_order(lake):
    outcome = complete(lake, work(), Scorer())
    assert_frame_equal(outcome.rows, rewards())
    assert_frame_equal(read_rows(lake), rewards())
    assert (outcome.computed, outcome.reused, outcome.version) == (20, 0, lake.version(REWARDS))


def test_a_second_run_computes_nothing_and_makes_no_version(lake):
    first = complete(lake, work(), Scorer())
    staging = lake.version(STAGING)
    scorer = Scorer()
    second = complete(lake, work(), scorer)
    assert scorer.computed == []
    assert (second.computed, second.reused, second.version) == (0, 20, first.version)
    assert (lake.version(REWARDS), lake.version(STAGING)) == (first.version, staging)
    assert_frame_equal(second.rows, first.rows)


def test_more_wanted_rows_cost_only_the_new_ones(lake):
    complete(lake, work(8), Scorer())
    scorer = Scorer()
    outcome = complete(lake, work(20), scorer)
    assert scorer.computed == names(rewards(12, first=8))
    assert (outcome.computed, outcome.reused) == (12, 8)
    assert_frame_equal(read_rows(lake), rewards(20))


def test_fewer_wanted_rows_shrink_the_partition_at_no_cost(lake):
    complete(lake, work(20), Scorer())
    scorer = Scorer()
    complete(lake, work(6, first=3), scorer)
    assert scorer.computed == []
    assert_frame_equal(read_rows(lake), rewards(6, first=3))


def test_a_changed_fingerprint_replaces_every_row(lake):
    complete(lake, work(20, "f1"), Scorer("f1"))
    scorer = Scorer("f2")
    complete(lake, work(20, "f2"), scorer)
    assert scorer.computed == names(rewards(20))
    assert_frame_equal(read_rows(lake), rewards(20, "f2"))
    assert set(lake.read(REWARDS)["fingerprint"]) == {"f2"}


def test_a_changed_fingerprint_does_not_use_rows_staged_under_another(lake):
    with pytest.raises(Interrupted):
        complete(lake, work(20, "f1"), Scorer("f1", stop_before=3))
    scorer = Scorer("f2")
    complete(lake, work(20, "f2"), scorer)
    assert scorer.computed == names(rewards(20))
    assert_frame_equal(read_rows(lake), rewards(20, "f2"))
    assert lake.read(STAGING).is_empty()


def test_other_partitions_stay_unchanged(lake):
    with pytest.raises(Interrupted):
        complete(lake, work(20, teacher="a"), Scorer(stop_before=2))
    complete(lake, work(7, teacher="b"), Scorer())
    assert set(lake.read(STAGING)["teacher"]) == {"a"}
    assert set(lake.read(REWARDS)["teacher"]) == {"b"}


def test_an_interruption_keeps_finished_chunks_and_shows_readers_the_old_rows(lake):
    complete(lake, work(4, "f0"), Scorer("f0"))
    interrupted = Scorer(stop_before=2)
    with pytest.raises(Interrupted):
        complete(lake, work(), interrupted)
    assert_frame_equal(read_rows(lake), rewards(4, "f0"))
    assert interrupted.computed == names(rewards())[: 2 * CHUNK]
    assert set(names(lake.read(STAGING))) == set(interrupted.computed)

    resumed = Scorer()
    outcome = complete(lake, work(), resumed)
    assert interrupted.computed + resumed.computed == names(rewards())
    assert (outcome.computed, outcome.reused) == (10, 10)
    assert_frame_equal(read_rows(lake), rewards())
    assert lake.read(STAGING).is_empty()


def test_after_a_stop_between_publishing_and_clearing_nothing_is_computed(lake, monkeypatch):
    def stop(*_):
        raise Interrupted

    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        patched.setattr(Lake, "delete", stop)
        complete(lake, work(), Scorer())
    version, scorer = lake.version(REWARDS), Scorer()
    assert complete(lake, work(), scorer).version == version
    assert scorer.computed == []
    assert lake.read(STAGING).is_empty()


def test_a_row_that_was_not_computed_is_an_error_and_nothing_is_published(lake):
    with pytest.raises(RuntimeError, match="rewards rm × teacher: 1 of 20 rows were not computed"):
        complete(lake, work(), lambda missing: finish(missing.head(19)))
    assert lake.read(REWARDS).is_empty()
    scorer = Scorer()
    complete(lake, work(), scorer)
    assert scorer.computed == ["r000"]


def test_a_row_that_was_not_wanted_is_not_published(lake):
    complete(lake, work(3), lambda missing: in_rows(pl.concat([answers(missing), rewards(2, first=50)])))
    assert_frame_equal(read_rows(lake), rewards(3))


def test_an_unwritable_store_fails_before_anything_is_computed():
    scorer = Scorer()
    with pytest.raises(LakeError, match="PRECEPTOR_STORE"):
        complete(Lake("/proc/nowhere", "test"), work(), scorer)
    assert scorer.computed == []


def test_a_table_without_partitions_completes_and_resumes(lake):
    everything = work(table=UNPARTITIONED)
    with pytest.raises(Interrupted):
        complete(lake, everything, Scorer(stop_before=3))
    scorer = Scorer()
    complete(lake, everything, scorer)
    assert len(scorer.computed) == 5
    assert_frame_equal(read_rows(lake, UNPARTITIONED), rewards())


@pytest.mark.parametrize("turn", range(4))
def test_two_writers_of_one_partition_leave_each_row_once(lake, turn):
    def compute(missing):
        for number, chunk in enumerate(missing.iter_slices(CHUNK)):
            if number == turn:
                complete(lake, work(), Scorer())
            yield from finish(chunk)

    outcome = complete(lake, work(), compute)
    assert_frame_equal(outcome.rows, rewards())
    assert_frame_equal(read_rows(lake), rewards())
    assert lake.read(STAGING).is_empty()


def test_two_writers_that_commit_the_same_chunk_at_once_stage_it_once(lake, monkeypatch):
    append, pending = Lake.append, [True]

    def raced(self, *arguments):
        if pending:
            pending.pop()
            assert append(self, *arguments)
            return False
        return append(self, *arguments)

    monkeypatch.setattr(Lake, "append", raced)
    with pytest.raises(Interrupted):
        complete(lake, work(), Scorer(stop_before=2))
    assert sorted(names(lake.read(STAGING))) == sorted(names(rewards())[: 2 * CHUNK])


def test_a_writer_that_finishes_between_anothers_first_two_reads_saves_its_work(lake, monkeypatch):
    with pytest.raises(Interrupted):
        complete(lake, work(), Scorer(stop_before=3))
    run_inside_first_read(monkeypatch, [REWARDS, STAGING], lambda: complete(lake, work(), Scorer()))
    late = Scorer()
    complete(lake, work(), late)
    assert late.computed == []


def test_the_version_of_an_outcome_holds_its_rows_despite_other_publishes(lake, monkeypatch):
    complete(lake, work(20, "f1"), Scorer("f1"))
    run_inside_first_read(monkeypatch, [REWARDS], lambda: complete(lake, work(20, "f2"), Scorer("f2")))
    outcome = complete(lake, work(20, "f1"), Scorer("f1"))
    assert_frame_equal(read_rows(lake, version=outcome.version), outcome.rows)


def test_an_empty_list_of_wanted_rows_is_refused(lake):
    complete(lake, work(20, "f1"), Scorer("f1"))
    for fingerprint in ("f1", "f2"):
        with pytest.raises(LakeError, match="with no rows"):
            complete(lake, work(0, fingerprint), Scorer(fingerprint))
    assert_frame_equal(read_rows(lake), rewards())


def test_put_publishes_once_and_again_only_on_a_change(lake):
    first = put(lake, REWARDS, partition(), "f1", rewards())
    same = put(lake, REWARDS, partition(), "f1", rewards())
    assert (first.computed, first.reused, same.computed, same.reused) == (20, 0, 0, 20)
    assert same.version == first.version == lake.version(REWARDS)
    changed = rewards().with_columns(reward=pl.lit(0.25))
    assert put(lake, REWARDS, partition(), "f1", changed).version == first.version + 1
    assert_frame_equal(read_rows(lake), changed)
    assert put(lake, REWARDS, partition(), "f2", changed).version == first.version + 2
    assert set(lake.read(REWARDS)["fingerprint"]) == {"f2"}


def test_derived_rows_are_made_once_per_fingerprint(lake):
    made = []
    outcomes = [
        derive(lake, REWARDS, partition(), name, lambda: made.append(1) or rewards())
        for name in ("f1", "f1", "f2")
    ]
    assert len(made) == 2
    assert [(outcome.version, outcome.reused) for outcome in outcomes] == [(1, 0), (1, 20), (2, 0)]


def with_failures(rows, failures=("r003", "r007")):
    """Rows without an error, except these."""
    fails = pl.col("response_id").is_in(failures)
    return rows.with_columns(
        reward=pl.when(~fails).then(pl.lit(0.5)), error=pl.when(fails).then(pl.lit("timed out"))
    )


def test_failed_rows_are_retried_only_on_request(lake):
    computed = []

    def compute(missing):
        computed.append(sorted(names(missing)))
        failing = ["r003", "r007"] if len(computed) == 1 else ["r007"]
        yield from in_rows(with_failures(answers(missing), failing))

    complete(lake, work(), compute)
    assert complete(lake, work(), compute).computed == 0
    again = complete(lake, replace(work(), retry_failed=True), compute)
    assert computed[1:] == [["r003", "r007"]]
    assert (again.computed, again.reused) == (2, 18)
    assert_frame_equal(read_rows(lake), with_failures(rewards(), ["r007"]))


def test_rows_staged_by_a_killed_retry_replace_the_old_failures(lake):
    complete(lake, work(), lambda missing: in_rows(with_failures(answers(missing))))

    def killed(missing):
        yield from in_rows(with_failures(answers(missing.head(1)), []))
        raise Interrupted

    with pytest.raises(Interrupted):
        complete(lake, replace(work(), retry_failed=True), killed)
    assert complete(lake, work(), Scorer()).computed == 0
    assert read_rows(lake)["error"].to_list().count("timed out") == 1
