"""Questions to a judge over HTTP: a verdict with its words, tokens and price, or why there is none."""

import json

import pytest

from preceptor.endpoint.completion import read_completion
from preceptor.judging.judge import EndpointJudge
from preceptor.judging.question import Question, Reading
from preceptor.study.judges import PromptedJudge
from tests.endpoint.faulty_server import MODEL, FaultyServer, answer, refusal
from tests.endpoint.faulty_server import question as last_turn
from tests.endpoint.teachers import collected


def judge(url: str, **settings) -> EndpointJudge:
    return EndpointJudge(PromptedJudge(name="j", engine="openai", model=MODEL, base_url=url, **settings))


def read(completion) -> Reading | None:
    return Reading(completion.text, float(completion.text)) if completion.text.isdigit() else None


def questions(count: int, **body) -> list[Question]:
    ask = {"temperature": 0.0, "seed": 0, "max_tokens": 5, **body}
    return [
        Question({"messages": [{"role": "user", "content": str(n)}], **ask}, read, "number")
        for n in range(count)
    ]


def echo(body, attempt):
    return answer(last_turn(body), prompt=100, response=10)


def test_every_question_has_its_own_verdict_words_tokens_and_price():
    with FaultyServer(echo) as server:
        asked = judge(server.url, prices={"prompt": 2.0, "response": 5.0})
        answers = collected(asked.stream(questions(20)), 20)
    assert [a.outcome for a in answers] == [float(n) for n in range(20)]
    assert [(a.raw, a.verdict, a.error, a.filtered) for a in answers] == [
        (str(n), str(n), None, None) for n in range(20)
    ]
    assert {(a.prompt_tokens, a.response_tokens) for a in answers} == {(100, 10)}
    assert all(abs(a.price - (100 * 2 + 10 * 5) / 1e6) < 1e-12 for a in answers)
    assert asked.facts["requests"] == 20


def test_an_endpoint_without_prices_costs_nothing_that_we_know_of():
    with FaultyServer(echo) as server:
        (one,) = collected(judge(server.url).stream(questions(1)), 1)
    assert one.price is None


def test_an_endpoint_that_does_not_say_its_tokens_has_no_price():
    def silent(body, attempt):
        play = echo(body, attempt)
        play.body = json.dumps({k: v for k, v in json.loads(play.body).items() if k != "usage"}).encode()
        return play

    with FaultyServer(silent) as server:
        asked = judge(server.url, prices={"prompt": 2.0, "response": 5.0})
        (one,) = collected(asked.stream(questions(1)), 1)
    assert (one.outcome, one.price, one.prompt_tokens) == (0.0, None, None)


def test_an_unreadable_answer_is_asked_for_again_and_kept_in_the_end():
    with FaultyServer(lambda body, n: answer("hm" if n == 0 else "7")) as server:
        (mended,) = collected(judge(server.url).stream(questions(1)), 1)
    assert (mended.outcome, mended.raw) == (7.0, "7")
    first, second = server.bodies
    assert (first["temperature"], second["temperature"], second["seed"]) == (0, 0.5, 1)
    with FaultyServer(lambda body, n: answer("I cannot say", prompt=9, response=4)) as server:
        asked = judge(server.url, attempts=3)
        (failed,) = collected(asked.stream(questions(1)), 1)
    assert (failed.outcome, failed.verdict, failed.raw) == (None, None, "I cannot say")
    assert failed.error.startswith("no number in 3 answers of the judge; the last said 'I cannot say'")
    assert (failed.prompt_tokens, failed.response_tokens, failed.filtered) == (3 * 9, 3 * 4, None)
    assert (asked.facts["parse_failures"], asked.facts["rows_given_up"]) == (3, 1)


def test_the_price_of_a_verdict_is_that_of_all_that_was_asked_for_it():
    said = ["hm", "well", "7"]
    with FaultyServer(lambda body, n: answer(said[n], prompt=100, response=10)) as server:
        asked = judge(server.url, prices={"prompt": 2.0, "response": 5.0})
        (one,) = collected(asked.stream(questions(1)), 1)
    assert (one.outcome, one.prompt_tokens, one.response_tokens) == (7.0, 300, 30)
    assert one.price == asked.facts["price"] == (300 * 2 + 30 * 5) / 1e6


def test_a_model_that_thinks_until_its_tokens_are_used_up_fails_and_is_paid():
    with FaultyServer(lambda body, n: answer("", finish="length", prompt=9, response=5)) as server:
        (one,) = collected(judge(server.url).stream(questions(1)), 1)
    assert one.error.startswith("the model used up its tokens") and "'max_tokens' of a judge" in one.error
    assert (one.filtered, one.prompt_tokens, one.response_tokens) == (None, 9, 5)


def test_a_withheld_answer_is_filtered_and_the_rest_goes_on():
    def script(body, attempt):
        said = last_turn(body)
        if said == "1":
            return answer(None, finish="content_filter")
        return answer(None, refusal="I would rather not") if said == "2" else echo(body, attempt)

    with FaultyServer(script) as server:
        answers = collected(judge(server.url).stream(questions(4)), 4)
    assert [a.outcome for a in answers] == [0.0, None, None, 3.0]
    assert answers[1].filtered == answers[1].error == "the endpoint's content filter withheld the response"
    assert answers[2].filtered == "the model refused: I would rather not"


def test_token_probabilities_are_what_was_said():
    content = [{"token": "1", "top_logprobs": [{"token": "1", "logprob": -0.1}]}]

    def script(body, attempt):
        play = echo(body, attempt)
        data = json.loads(play.body)
        data["choices"][0]["logprobs"] = {"content": content}
        play.body = json.dumps(data).encode()
        return play

    with FaultyServer(script) as server:
        (one,) = collected(judge(server.url).stream(questions(1, logprobs=True, top_logprobs=5)), 1)
    assert json.loads(one.raw) == {"content": content}
    assert server.bodies[0]["top_logprobs"] == 5


@pytest.mark.parametrize("text", ["", None])
def test_token_probabilities_are_an_answer_without_text_too(text):
    """What alpaca-eval's weighted annotator asks for, one token, may decode to nothing."""
    choice = {"finish_reason": "length", "message": {"content": text}, "logprobs": {"content": []}}
    assert read_completion({"choices": [choice]}, 5).text == ""


def test_a_called_function_is_the_answer():
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "3"}}
    with FaultyServer(lambda body, n: answer(None, finish="tool_calls", tool_calls=[call])) as server:
        (one,) = collected(judge(server.url).stream(questions(1, tools=[{"type": "function"}])), 1)
    assert (one.outcome, one.raw) == (3.0, "3")


def test_a_dead_row_is_an_error_and_a_refused_key_marks_none():
    def script(body, attempt):
        return refusal(400, "too long") if last_turn(body) == "2" else echo(body, attempt)

    with FaultyServer(script) as server:
        answers = collected(judge(server.url).stream(questions(4)), 4)
    assert "too long" in answers[2].error and answers[2].filtered is None
    assert [a.outcome for a in answers] == [0.0, 1.0, None, 3.0]
