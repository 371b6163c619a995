"""What every engine that generates is asked for and gives back."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

NOT_FINITE = "the teacher's logits are not finite: its weights hold NaN or infinity, or overflow their dtype"
TURN_STRIDE = 2**40  # between the seeds of a row's turns: samples of a row count up by one


@dataclass(frozen=True)
class Decoding:
    """Sampling parameters; temperature 0 is greedy, top_k 0 and top_p 1 are off."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    max_new_tokens: int = 1024
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """One conversation to answer, with the seed of its random draws.

    Samples of one conversation have seeds that count up, so that an engine may draw them together.
    """

    system: str | None
    user: tuple[str, ...]
    seed: int

    def seed_of(self, turn: int) -> int:
        """The seed of a turn's draws."""
        return self.seed + turn * TURN_STRIDE


@dataclass(frozen=True)
class Generation:
    """What a teacher said, turn by turn, or why it said nothing."""

    turns: tuple[str, ...] = ()
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    response_tokens: int | None = None
    error: str | None = None


def ending(turns: Iterable[str | None]) -> str:
    """How a conversation ended, from how each of its turns did: one turn that was cut makes it `length`."""
    return "length" if "length" in set(turns) else "stop"


class Generator(Protocol):
    """An engine that holds a teacher. `facts` says what the work took, for people who read logs."""

    facts: dict[str, int | float]

    def stream(self, requests: Sequence[Request]) -> Iterator[tuple[int, Generation]]:
        """Yield (number of the request, its answer) as they finish, in any order, each once."""

    def close(self) -> None:
        """Give the memory back."""
