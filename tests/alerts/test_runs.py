"""A failing check causes one alert, another when its message changes, and another after it passed."""

from hypothesis import given
from hypothesis import strategies as st

from preceptor.alerts.alert import LONGEST, make_alert, message
from preceptor.alerts.runs import CheckOutcome, FinishedRun, check_alerts, run_alerts

MEND = "Mend it."


def run(*says, partition="a|b", **fields):
    """A run in which `failure_rate` failed with these messages; None is a pass."""
    checks = tuple(
        CheckOutcome("rewards", partition, "failure_rate", passed=text is None, says=text or "fine")
        for text in says
    )
    return FinishedRun("0123456789abcdef", partition, checks, **fields)


@given(st.lists(st.sampled_from([None, "5 failed", "6 failed"]), max_size=12))
def test_a_failure_is_alerted_once_until_it_changes_or_passes(history):
    standing, told, last = {}, [], None
    for says in history:
        alerts, standing = check_alerts(standing, run(says))
        told += [alert.facts["says"] for alert in alerts]
        assert bool(alerts) == (says is not None and says != last)
        assert bool(standing) == (says is not None)
        last = says


def test_partitions_are_independent():
    alerts, standing = check_alerts({}, run("5 failed"))
    assert alerts[0].text == "rewards a × b: check failure_rate did not pass: 5 failed (run 01234567)"
    alerts, standing = check_alerts(standing, run("5 failed", partition="a|c"))
    assert len(alerts) == 1
    _, standing = check_alerts(standing, run(None))
    assert list(standing) == ["rewards/a|c/failure_rate"]


def test_the_alert_of_a_failed_run_says_where_why_and_what_to_do():
    failed = run(partition="t", failures=("no space.",), unmade=("responses",))
    (alert,) = run_alerts(failed, MEND)
    assert alert.text == "run 01234567 failed (responses t): no space. Mend it."
    assert alert.facts == {
        "run": "0123456789abcdef",
        "assets": "responses",
        "partition": "t",
        "error": "no space",
    }


def test_a_retried_or_successful_run_causes_no_alert():
    assert list(run_alerts(run(failures=("no space",), asked_again=True), MEND)) == []
    assert list(run_alerts(run("5 failed"), MEND)) == []


def test_equal_alerts_have_equal_ids_and_others_have_others():
    one, same = make_alert("run_failed", "x", run="1"), make_alert("run_failed", "y", run="1")
    assert one.id == same.id
    assert (
        len({one.id, make_alert("run_failed", "x", run="2").id, make_alert("check_failed", "x", run="1").id})
        == 3
    )


def test_text_from_rows_mentions_nobody_and_stays_short():
    alert = make_alert("run_failed", "<!channel>\n\ud800 " + "x" * 10_000, run="1")
    assert alert.text.startswith("‹!channel› \ufffd x")
    assert len(alert.text) == LONGEST
    assert message(alert, "small")["text"].startswith("small: ‹!channel›")
