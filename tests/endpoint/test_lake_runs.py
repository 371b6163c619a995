"""Responses and rewards over HTTP into the lake: no row is requested twice after an interruption."""

from collections import Counter

import polars as pl
import pytest

from preceptor.compute.request import Decoding
from preceptor.endpoint.errors import EndpointError
from preceptor.endpoint.generator import EndpointGenerator
from preceptor.instructions.collect import collect_instructions
from preceptor.lake.schemas import RESPONSES, REWARDS
from preceptor.responses.generate import generate_responses
from preceptor.rewards.judge import RewardJudge
from preceptor.rewards.score import score_rewards
from preceptor.study.reward_models import JudgeRewardModel
from preceptor.study.schema import Instructions, InstructionSource
from tests.endpoint.faulty_server import MODEL, FaultyServer, answer, echo, question, refusal
from tests.endpoint.teachers import teacher
from tests.studies import lines

ROWS = 60


class Interrupted(Exception):
    pass


@pytest.fixture
def asked(tmp_path) -> pl.DataFrame:
    path = tmp_path / "questions.jsonl"
    lines(path, [{"question_id": str(n), "turns": [f"question {n}"]} for n in range(ROWS)])
    source = InstructionSource(name="asked", path=str(path), format="fastchat")
    return collect_instructions(Instructions(sources=(source,), near_duplicate_threshold=None))[0]


def troubled(body, attempt):
    """Every third question fails once first; question 7 is refused."""
    number = int(question(body)[9:])
    if number == 7:
        return refusal(400, "too long")
    return (
        refusal(503, headers={"retry-after-ms": "5"})
        if number % 3 == 0 and attempt == 0
        else echo(body, attempt)
    )


def interrupted_after(rows: int):
    """A generator that is killed after this many answers."""

    class Killed(EndpointGenerator):
        def stream(self, requests):
            for count, finished in enumerate(super().stream(requests)):
                if count == rows:
                    raise Interrupted
                yield finished

    return lambda t: Killed(t, Decoding())


def whole(t) -> EndpointGenerator:
    return EndpointGenerator(t, Decoding())


def test_a_resumed_run_has_each_row_once(lake, asked):
    with FaultyServer(troubled) as server:
        remote = teacher(server.url, concurrency=8)
        with pytest.raises(Interrupted):
            generate_responses(lake, remote, asked, interrupted_after(33))
        outcome = generate_responses(lake, remote, asked, whole)
        again = generate_responses(lake, remote, asked, whole)
    assert (outcome.computed, outcome.reused, again.computed) == (ROWS - 33, 33, 0)
    assert outcome.facts["requests"] >= ROWS - 33
    rows = lake.read(RESPONSES, {"teacher": "remote"})
    assert sorted(rows["instruction_id"]) == sorted(asked["instruction_id"])
    texts = dict(
        rows.join(asked, on="instruction_id").select(pl.col("turns_right").list[0], "turns").iter_rows()
    )
    errors = rows.filter(pl.col("error").is_not_null())
    assert [error for error in errors["error"] if "too long" in error] == errors["error"].to_list()
    assert errors.height == 1
    assert {asked: answer for asked, answer in texts.items() if asked != "question 7"} == {
        f"question {n}": [f"re: question {n}"] for n in range(ROWS) if n != 7
    }


def test_after_an_endpoint_died_midway_a_new_run_asks_only_the_unfinished_rows(lake, asked):
    answered: Counter[str] = Counter()

    def dying(body, attempt):
        answered[question(body)] += 1
        return echo(body, attempt) if answered.total() <= 25 else refusal(500)

    with FaultyServer(dying) as server:
        remote = teacher(server.url, concurrency=4, attempts=2)
        with pytest.raises(EndpointError, match=server.url):
            generate_responses(lake, remote, asked, whole)
        assert lake.read(RESPONSES).is_empty()
        server.script = echo
        outcome = generate_responses(lake, remote, asked, whole)
    assert outcome.reused == 25
    assert outcome.rows["error"].null_count() == ROWS


def test_a_judge_gives_each_response_its_reward(lake, asked):
    def script(body, attempt):
        if "response_format" not in body:
            return troubled(body, attempt)
        number = int(question(body).split("re: question ")[1].split("\n")[0])
        return (
            answer("no idea") if number == 11 else answer(f'{{"reasoning": "", "score": {number % 10 + 1}}}')
        )

    with FaultyServer(script) as server:
        generated = generate_responses(lake, teacher(server.url), asked, whole)
        model = JudgeRewardModel(
            name="judge", engine="openai", model=MODEL, base_url=server.url, attempts=2, concurrency=8
        )
        outcome = score_rewards(lake, model, "remote", generated.rows, asked, RewardJudge)
        again = score_rewards(lake, model, "remote", generated.rows, asked, RewardJudge)
    rows = lake.read(REWARDS).join(asked, on="instruction_id")
    rewards = {
        int(turns[0][9:]): (reward, error)
        for turns, reward, error in rows["turns", "reward", "error"].iter_rows()
    }
    assert (rows.height, outcome.computed, again.computed) == (ROWS, ROWS, 0)
    assert "no response" in rewards.pop(7)[1]
    assert "'no idea'" in rewards.pop(11)[1]
    assert rewards == {n: (float(n % 10 + 1), None) for n in range(ROWS) if n not in (7, 11)}
    assert outcome.facts["parse_failures"] == 2
