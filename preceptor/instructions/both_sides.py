"""Instructions that are whole conversations in one text, as HH, Baize, Guanaco and rendered chats have them.

Asked as it stands, such a text holds answers, and the marks of its speakers as if they were words. One row
may well be about a conversation, so a source is refused only where many rows look like this.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# How the user's turn begins and the assistant's: a name at the start of a line, or a mark anywhere.
SPEAKERS = (
    (r"^[ \t]*(?:Human|User|<human>|<user>):", r"^[ \t]*(?:Assistant|AI|Bot|GPT|<bot>|<assistant>):"),
    (r"\bHUMAN:|\bUSER:", r"\bASSISTANT:"),
    (r"###\s?(?:Human|User|Instruction|Prompter):?", r"###\s?(?:Assistant|Response):?"),
    (r"\[\|Human\|\]", r"\[\|AI\|\]"),
    (r"\[INST\]", r"\[/INST\]"),
    (r"<\|im_start\|>user\b", r"<\|im_start\|>assistant\b"),
    (r"<\|start_header_id\|>user\b", r"<\|start_header_id\|>assistant\b"),
    (r"<start_of_turn>user\b", r"<start_of_turn>model\b"),
    (r"<\|(?:user|prompter|User)\|>", r"<\|(?:assistant|Assistant)\|>"),
)
TURNS = [tuple(re.compile(mark, re.MULTILINE) for mark in pair) for pair in SPEAKERS]


def speakers_in(text: str) -> tuple[str, str] | None:
    """The marks of the user and of the assistant after it, where a text has both."""
    for user, assistant in TURNS:
        asked = user.search(text)
        answered = asked and assistant.search(text, asked.end())
        if asked and answered:
            return asked[0].strip(), answered[0].strip()
    return None


@dataclass
class BothSides:
    """How many rows of a source have both sides in one text, and the first of them."""

    rows: int = 0
    first: str = ""

    def look(self, turns: Iterable[str], place: str) -> None:
        """Count a row in which a turn of the user has both sides."""
        found = next(filter(None, map(speakers_in, turns)), None)
        if found is not None:
            self.rows += 1
            self.first = self.first or f"{found[0]!r} and {found[1]!r} at {place}"

    def told(self, read: int) -> Iterator[str]:
        """A sentence where there are such rows, with the cure."""
        if self.rows:
            yield (
                f"{self.rows:,} of {read:,} rows hold both sides of a conversation in one text"
                f" ({self.first}): their answers would be asked as part of the question: write each as one"
                " row of messages"
            )
