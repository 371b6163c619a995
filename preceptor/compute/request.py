"""Requests to engines that generate, and their answers."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

NOT_FINITE = "the teacher's logits are not finite: its weights hold NaN or infinity, or overflow their dtype"
TURN_STRIDE = 2**40  # distance between the seeds of a row's turns; seeds of a row's samples are consecutive


@dataclass(frozen=True)
class Decoding:
    """Sampling parameters. Temperature 0 is greedy; top_k 0 and top_p 1 are off."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    max_new_tokens: int = 1024
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """One conversation to answer, with the seed of its random draws.

    Samples of one conversation have consecutive seeds, so that an engine can draw them together.
    """

    system: str | None
    user: tuple[str, ...]
    seed: int

    def seed_of(self, turn: int) -> int:
        """The seed of a turn's draws."""
        return self.seed + turn * TURN_STRIDE


@dataclass(frozen=True)
class Generation:
    """A teacher's answer, turn by turn, or the reason why there is none."""

    turns: tuple[str, ...] = ()
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    response_tokens: int | None = None
    error: str | None = None


def ending(turns: Iterable[str | None]) -> str:
    """How a conversation ended: `length` if any of its turns was cut, else `stop`."""
    return "length" if "length" in set(turns) else "stop"


class Generator(Protocol):
    """An engine with a loaded teacher. `facts` are its speed and memory, for the log."""

    facts: dict[str, int | float]

    def stream(self, requests: Sequence[Request]) -> Iterator[tuple[int, Generation]]:
        """Yield (request number, answer) as answers finish, in any order, each once."""

    def close(self) -> None:
        """Free the memory."""
