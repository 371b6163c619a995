"""What the labels of a game between assistants A and B are worth."""

from typing import Literal

Label = Literal["A>>B", "A>B", "A=B", "B>A", "B>>A"]
View = Literal["A", "B"]
WEIGHT = 3  # battles that a game counts as when it is won by far
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
    """1 where the assistant in that position won, 0.5 for a tie, 0 where it lost."""
    if label == "A=B":
        return 0.5
    return float(label[0] == view)


def weight(label: Label) -> int:
    """How many battles the game counts as: WEIGHT where it was won by far, else 1."""
    return WEIGHT if ">>" in label else 1
