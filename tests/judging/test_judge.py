"""Questions to a judge over HTTP get a verdict with text, tokens and price, or an error."""

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


def test_every_question_has_its_own_verdict_text_tokens_and_price():
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


def test_without_prices_the_price_is_unknown():
    with FaultyServer(echo) as server:
        (one,) = collected(judge(server.url).stream(questions(1)), 1)
    assert one.price is None


def test_without_token_counts_the_price_is_unknown():
    def silent(body, attempt):
        play = echo(body, attempt)
        play.body = json.dumps({k: v for k, v in json.loads(play.body).items() if k != "usage"}).encode()
        return play

    with FaultyServer(silent) as server:
        asked = judge(server.url, prices={"prompt": 2.0, "response": 5.0})
        (one,) = collected(asked.stream(questions(1)), 1)
    assert (one.outcome, one.price, one.prompt_tokens) == (0.0, None, None)


def test_an_unreadable_answer_is_requested_again_and_the_last_one_is_kept():
    with FaultyServer(lambda body, n: answer("hm" if n == 0 else "7")) as server:
        (mended,) = collected(judge(server.url).stream(questions(1)), 1)
    assert (mended.outcome, mended.raw) == (7.0, "7")
    first, second = server.bodies
    assert (first["temperature"], second["temperature"], second["seed"]) == (0, 0.5, 1)
    with FaultyServer(lambda body, n: answer("I cannot say", prompt=9, response=4)) as server:
        asked = judge(server.url, attempts=3)
        (failed,) = collected(asked.stream(questions(1)), 1)
    assert (failed.outcome, failed.verdict, failed.raw) == (None, None, "I cannot say")
    assert failed.error.startswith("no number in 3 answers") and "'I cannot say'" in failed.error
    assert (failed.prompt_tokens, failed.response_tokens, failed.filtered) == (3 * 9, 3 * 4, None)
    assert (asked.facts["parse_failures"], asked.facts["rows_given_up"]) == (3, 1)


def test_the_price_of_a_verdict_covers_all_requests():
    texts = ["hm", "well", "7"]
    with FaultyServer(lambda body, n: answer(texts[n], prompt=100, response=10)) as server:
        asked = judge(server.url, prices={"prompt": 2.0, "response": 5.0})
        (one,) = collected(asked.stream(questions(1)), 1)
    assert (one.outcome, one.prompt_tokens, one.response_tokens) == (7.0, 300, 30)
    assert one.price == asked.facts["price"] == (300 * 2 + 30 * 5) / 1e6


def test_a_model_that_uses_all_tokens_for_reasoning_fails_and_its_tokens_count():
    with FaultyServer(lambda body, n: answer("", finish="length", prompt=9, response=5)) as server:
        (one,) = collected(judge(server.url).stream(questions(1)), 1)
    assert one.error.startswith("the model used up its tokens") and "'max_tokens' of a judge" in one.error
    assert (one.filtered, one.prompt_tokens, one.response_tokens) == (None, 9, 5)


def test_a_withheld_answer_is_filtered_and_the_rest_is_answered():
    def script(body, attempt):
        asked = last_turn(body)
        if asked == "1":
            return answer(None, finish="content_filter")
        return answer(None, refusal="I would rather not") if asked == "2" else echo(body, attempt)

    with FaultyServer(script) as server:
        answers = collected(judge(server.url).stream(questions(4)), 4)
    assert [a.outcome for a in answers] == [0.0, None, None, 3.0]
    assert answers[1].filtered == answers[1].error == "the endpoint's content filter withheld the response"
    assert answers[2].filtered == "the model refused: I would rather not"


def test_requested_token_probabilities_are_kept_as_the_raw_answer():
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
def test_token_probabilities_without_text_are_an_answer(text):
    """alpaca-eval's weighted annotator asks for one token, which may decode to no text."""
    choice = {"finish_reason": "length", "message": {"content": text}, "logprobs": {"content": []}}
    assert read_completion({"choices": [choice]}, 5).text == ""


def test_a_called_function_is_the_answer():
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "3"}}
    with FaultyServer(lambda body, n: answer(None, finish="tool_calls", tool_calls=[call])) as server:
        (one,) = collected(judge(server.url).stream(questions(1, tools=[{"type": "function"}])), 1)
    assert (one.outcome, one.raw) == (3.0, "3")


def test_a_refused_question_is_an_error_and_not_filtered():
    def script(body, attempt):
        return refusal(400, "too long") if last_turn(body) == "2" else echo(body, attempt)

    with FaultyServer(script) as server:
        answers = collected(judge(server.url).stream(questions(4)), 4)
    assert "too long" in answers[2].error and answers[2].filtered is None
    assert [a.outcome for a in answers] == [0.0, 1.0, None, 3.0]
