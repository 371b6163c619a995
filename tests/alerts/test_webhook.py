"""Alerts reach a receiver in order and with their ids, refused ones wait, and no secret leaks."""

import logging
import socket
from types import SimpleNamespace

import pytest

from preceptor.alerts import webhook
from preceptor.alerts.alert import make_alert, message
from preceptor.alerts.state import MOST_PENDING, State
from preceptor.alerts.webhook import WebhookError, deliver, post, webhook_address
from tests.alerts.webhook_server import WebhookServer

SECRET = "T0PSECRET"


def alerts(count, first=0):
    return [make_alert("run_failed", f"run {n} failed", run=str(n)) for n in range(first, first + count)]


def waiting(count):
    return State(after=0).awaiting(alerts(count))


def to(address):
    return lambda alert: post(address, message(alert, "small"))


def dead_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/{SECRET}"


def test_a_receiver_gets_each_alert_once_in_order_with_its_text():
    with WebhookServer() as server:
        state, problem = deliver(waiting(3), to(server.address))
    assert (state, problem) == (State(after=0), None)
    assert [body["text"] for body in server.taken] == [f"small: run {n} failed" for n in range(3)]
    assert server.taken[0] == {
        "text": "small: run 0 failed",
        "id": alerts(1)[0].id,
        "kind": "run_failed",
        "study": "small",
        "run": "0",
    }


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_a_refused_alert_waits_and_is_sent_first_next_time(status):
    with WebhookServer(200, status) as server:
        state, problem = deliver(waiting(3), to(server.address))
        assert problem == f"the webhook did not accept the alert: it answered {status}"
        assert [alert.facts["run"] for alert in state.pending] == ["1", "2"]
        state, problem = deliver(state.awaiting(alerts(1, first=3)), to(server.address))
    assert (state.pending, problem) == ((), None)
    assert [body["run"] for body in server.taken] == ["0", "1", "2", "3"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status):
    with WebhookServer() as elsewhere, WebhookServer(status, location=elsewhere.address) as server:
        state, problem = deliver(waiting(1), to(server.address))
    assert f"it answered {status} (redirects are not followed: set the final address)" in problem
    assert len(state.pending) == 1
    assert elsewhere.asked == []


def test_a_receiver_that_answers_byte_by_byte_does_not_delay_the_tick(monkeypatch):
    monkeypatch.setattr(webhook, "SECONDS", 0.5)
    with WebhookServer(3600.0) as server:
        state, problem = deliver(waiting(2), to(server.address))
    assert problem == "the webhook did not accept the alert: no answer within 0.5 s"
    assert len(state.pending) == 2


def test_many_alerts_to_a_slow_receiver_take_several_ticks(monkeypatch):
    clock, sent = [0.0], []
    monkeypatch.setattr(webhook, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def slow(alert):
        clock[0] += webhook.SECONDS
        sent.append(alert.facts["run"])

    state, problem = deliver(waiting(20), slow)
    assert len(sent) == webhook.SECONDS_OF_A_TICK / webhook.SECONDS and problem is None
    while state.pending:
        state, _ = deliver(state, slow)
    assert sent == [str(n) for n in range(20)]


def test_while_the_receiver_is_down_the_newest_alerts_are_kept_and_the_others_counted():
    state = waiting(MOST_PENDING).awaiting(alerts(7, first=MOST_PENDING))
    state, problem = deliver(state, to(dead_address()))
    assert problem == "the webhook did not accept the alert: it cannot be reached (Connection refused)"
    assert (len(state.pending), state.dropped) == (MOST_PENDING, 7)
    again = State.parse(state.model_dump_json())
    with WebhookServer() as server:
        state, problem = deliver(again, to(server.address))
    assert (state.pending, state.dropped, problem) == ((), 0, None)
    assert server.taken[0]["text"].startswith("small: 7 alerts were dropped")
    assert [body["run"] for body in server.taken[1:]] == [str(n) for n in range(7, MOST_PENDING + 7)]


@pytest.mark.parametrize("address", ["https://a.example/x", "http://127.0.0.1:8/", "https://[::1]:9/x?y=z"])
def test_an_http_address_is_accepted_unchanged(address):
    assert webhook_address({webhook.VARIABLE: f" {address}\n"}) == address


@pytest.mark.parametrize("environment", [{}, {webhook.VARIABLE: ""}, {webhook.VARIABLE: " "}])
def test_without_an_address_there_is_no_webhook(environment):
    assert webhook_address(environment) is None


@pytest.mark.parametrize(
    "address",
    [
        f"file:///etc/{SECRET}",
        f"ftp://host/{SECRET}",
        f"hooks.example/{SECRET}",
        f"https:///{SECRET}",
        f"https://user:{SECRET}@host/",
        f"https://host:{SECRET}/",
        f"https://[::1/{SECRET}",
        f'"https://host/{SECRET}"',
        f"https://host/{SECRET} x",
        f"https://host/{SECRET}\nHost: x",
        f"https://höst/{SECRET}",
    ],
)
def test_an_invalid_address_is_refused_without_being_quoted(address):
    with pytest.raises(WebhookError, match=r"set it to https://host/path") as refused:
        webhook_address({webhook.VARIABLE: address})
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "server",
    [WebhookServer(500), WebhookServer(302, location=f"https://host/{SECRET}"), WebhookServer(5.0), None],
)
def test_no_error_and_no_log_contains_any_part_of_the_address(server, monkeypatch, caplog):
    monkeypatch.setattr(webhook, "SECONDS", 0.3)
    caplog.set_level(logging.DEBUG)
    if server is None:
        _, problem = deliver(waiting(1), to(dead_address()))
    else:
        with server:
            _, problem = deliver(waiting(1), to(server.address))
    _, unknown = deliver(waiting(1), to(f"https://{SECRET}.invalid/{SECRET}"))
    said = f"{problem} {unknown} {caplog.text}".casefold()
    assert "the webhook did not accept the alert" in said
    assert SECRET.casefold() not in said
    assert "127.0.0.1" not in said
