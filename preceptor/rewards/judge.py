"""Rewards from a judge behind an OpenAI-compatible endpoint: a grade from 1 to 10 for each response."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from preceptor.compute.conversation import Conversation
from preceptor.judging.judge import EndpointJudge
from preceptor.judging.prompt_file import read_prompt
from preceptor.judging.question import Question, mark_of, question, sections
from preceptor.study.reward_models import JudgeRewardModel

JUDGE_VERSION = 1  # raise it when the prompt's words, the sampling or the parsing of grades change
MAX_TOKENS = 2048  # for the reasoning and the grade; reasoning models need room
TITLES = {"system": "SYSTEM PROMPT", "user": "INSTRUCTION", "assistant": "RESPONSE"}


@dataclass(frozen=True)
class Reward:
    """A grade, or the reason why there is none."""

    reward: float | None = None
    error: str | None = None


class RewardJudge:
    """A judge that grades conversations over HTTP, many at once. `facts` are its speed and usage."""

    def __init__(self, reward_model: JudgeRewardModel) -> None:
        prompt = read_prompt(None, "reward")
        rubric = prompt.rubric if reward_model.rubric is None else reward_model.rubric
        self._prompt = prompt.model_copy(update={"rubric": rubric})
        self._parameters = {"temperature": 0.0, "max_tokens": MAX_TOKENS, "seed": reward_model.seed}
        self._judge = EndpointJudge(reward_model)
        self.facts = self._judge.facts

    def stream(self, conversations: Sequence[Conversation]) -> Iterator[tuple[int, Reward]]:
        """Yield rewards as they arrive. Closing the generator cancels requests in flight.

        Raises EndpointError if nothing would be graded.
        """
        with closing(self._judge.stream(map(self.question, conversations))) as answers:
            for number, answer in answers:
                yield number, Reward(answer.outcome, answer.error)

    def question(self, conversation: Conversation) -> Question:
        """The judge's question about a whole conversation, turn by turn, with nothing cut."""
        turns = conversation.messages(len(conversation.user), len(conversation.assistant))
        mark = mark_of(*(f"{turn['role']}\n{turn['content']}" for turn in turns))
        shown = sections(mark, [(TITLES[turn["role"]], turn["content"]) for turn in turns])
        places = {"{rubric}": f"{self._prompt.rubric}", "{mark}": mark, "{conversation}": shown}
        return question(self._prompt, places, self._parameters)
