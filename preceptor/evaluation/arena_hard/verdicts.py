"""Outcomes and weights of the labels of a game between assistants A and B."""

from typing import Literal

Label = Literal["A>>B", "A>B", "A=B", "B>A", "B>>A"]
View = Literal["A", "B"]
WEIGHT = 3  # battles that a clearly won game counts as
SPELLINGS: dict[str, Label] = {
    "A>>B": "A>>B",
    "B<<A": "A>>B",
    "A>B": "A>B",
    "B<A": "A>B",
    "A=B": "A=B",
    "B=A": "A=B",
    "B>A": "B>A",
    "A<B": "B>A",
    "B>>A": "B>>A",
    "A<<B": "B>>A",
}


def outcome(label: Label, view: View) -> float:
    """1 if the assistant in that position won, 0.5 for a tie, 0 if it lost."""
    if label == "A=B":
        return 0.5
    return float(label[0] == view)


def weight(label: Label) -> int:
    """The number of battles that the game counts as: WEIGHT if it was won clearly, else 1."""
    return WEIGHT if ">>" in label else 1
