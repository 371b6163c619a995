"""Find instructions that are whole conversations in one text, as in HH, Baize, Guanaco and rendered chats.

Used as it is, such a text contains answers and speaker marks. A single row may be about a conversation, so a
source is refused only if many rows look like this.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# How turns of user and assistant begin: a name at the start of a line, or a mark anywhere.
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
    """The user's mark and the assistant's after it, if a text has both."""
    for user, assistant in TURNS:
        asked = user.search(text)
        answered = asked and assistant.search(text, asked.end())
        if asked and answered:
            return asked[0].strip(), answered[0].strip()
    return None


@dataclass
class BothSides:
    """The number of a source's rows with both sides in one text, and the first such row."""

    rows: int = 0
    first: str = ""

    def look(self, turns: Iterable[str], place: str) -> None:
        """Count a row if one of its user turns has both sides."""
        found = next(filter(None, map(speakers_in, turns)), None)
        if found is not None:
            self.rows += 1
            self.first = self.first or f"{found[0]!r} and {found[1]!r} at {place}"

    def told(self, read: int) -> Iterator[str]:
        """A sentence with the fix if there are such rows."""
        if self.rows:
            yield (
                f"{self.rows:,} of {read:,} rows contain both sides of a conversation in one text"
                f" ({self.first}), so answers would be part of the prompt; write each conversation as one row"
                " of messages"
            )
