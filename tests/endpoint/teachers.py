"""Teachers and judges that ask a server on loopback, and their rows."""

from preceptor.compute.conversation import Conversation
from preceptor.compute.request import Decoding, Request
from preceptor.endpoint.generator import EndpointGenerator
from preceptor.rewards.judge import RewardJudge
from preceptor.study.reward_models import JudgeRewardModel
from preceptor.study.teachers import OpenAITeacher
from tests.endpoint.faulty_server import MODEL


def teacher(url: str, **settings) -> OpenAITeacher:
    return OpenAITeacher(**{"name": "remote", "engine": "openai", "model": MODEL, "base_url": url} | settings)


def generator(url: str, decoding: Decoding | None = None, **settings) -> EndpointGenerator:
    return EndpointGenerator(teacher(url, **settings), decoding or Decoding(max_new_tokens=5))


def judge(url: str, **settings) -> RewardJudge:
    return RewardJudge(JudgeRewardModel(name="judge", engine="openai", model=MODEL, base_url=url, **settings))


def requests(count: int) -> list[Request]:
    return [Request(None, (f"question {number}",), seed=2**61 + number) for number in range(count)]


def conversations(count: int) -> list[Conversation]:
    return [Conversation(None, (f"question {n}",), (f"response {n}",)) for n in range(count)]


def collected(stream, count: int) -> list:
    """The results in row order; fails unless each row comes exactly once."""
    finished = list(stream)
    assert sorted(number for number, _ in finished) == list(range(count))
    return [result for _, result in sorted(finished, key=lambda item: item[0])]
