"""Right answers that sources know, and rows that give one instruction another than an earlier row does."""

from dataclasses import dataclass, field

from preceptor.evaluation.checkers import CHECKS
from preceptor.text import normalise

SHOWN = 60  # characters of an answer in a message


@dataclass(frozen=True)
class RightAnswer:
    """The answer of one row, the check that it is for (None where nobody says), and where it stands."""

    answer: str
    check: str | None
    place: str

    def agrees(self, other: "RightAnswer") -> bool:
        """Whether both hold the same responses for right: `4` and `4.0` do under the check `number`."""
        if self.check is not None and other.check is not None and self.check != other.check:
            return False
        same = CHECKS.get(self.check or other.check or "")
        return normalise(self.answer) == normalise(other.answer) or (
            same is not None and same(self.answer, other.answer) and same(other.answer, self.answer)
        )

    def __str__(self) -> str:
        """As messages show it."""
        short = self.answer if len(self.answer) <= SHOWN else f"{self.answer[:SHOWN]}…"
        return f"{short!r}{f' by {self.check}' if self.check else ''} ({self.place})"


@dataclass
class RightAnswers:
    """The first right answer of each instruction."""

    first: dict[tuple[str, ...], RightAnswer] = field(default_factory=dict)

    def other_than(self, said: tuple[str, ...], own: RightAnswer) -> RightAnswer | None:
        """The earlier answer that contradicts this one; None where there is none."""
        earlier = self.first.setdefault(said, own)
        return None if earlier.agrees(own) else earlier
