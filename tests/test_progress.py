"""What a person reads while work goes on, and what remains of it as metadata."""

import logging
from dataclasses import replace

import pytest

from preceptor.lake.resume import complete
from preceptor.progress import Progress, duration
from tests.lake.samples import finish, work


@pytest.mark.parametrize(
    ("seconds", "words"), [(8.4, "8 s"), (185, "3 min 05 s"), (3_599.6, "1 h 00 min"), (7_800, "2 h 10 min")]
)
def test_durations_are_written_as_people_do(seconds, words):
    assert duration(seconds) == words


def test_the_sentence_says_rows_rate_failures_and_time_left():
    progress = Progress("responses tiny", total=400)
    progress.advance(100, tokens=5_000, failed=3)
    assert progress.sentence(50.0) == (
        "responses tiny: 100 of 400 rows in 50 s, 100 tokens/s, 3 with an error, about 2 min 30 s left"
    )
    progress.advance(300)
    assert "left" not in progress.sentence(60.0)


def test_completing_a_partition_reports_at_its_end_and_counts_its_failures(lake, caplog):
    caplog.set_level(logging.INFO, "preceptor")
    complete(lake, work(), finish)
    assert "20 of 20 rows" in caplog.text
    assert "20 with an error" in caplog.text  # these samples carry their fingerprint as an error


def test_rows_without_tokens_make_no_rate(lake):
    outcome = complete(lake, replace(work(), fingerprint="f2"), finish)
    assert outcome.facts == {}
