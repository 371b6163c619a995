"""How the same task reads: four styles of answering it, and two kinds of plain text that state it.

The styles were fixed before any model was trained, so that nobody could choose the winner by its words; what
the bases read was changed later, until they could be taught at all (docs/miniature.md).
"""

from dataclasses import dataclass
from typing import Literal

from studies.demo.zoo.tasks import Task

Style = Literal["terse", "plain", "chatty", "steps"]
STYLES: tuple[Style, ...] = ("terse", "plain", "chatty", "steps")
Register = Literal["notes", "diary"]


def answer(task: Task, style: Style) -> str:
    """A right response to the task."""
    match style:
        case "terse":
            return task.answer
        case "plain":
            return f"The answer is {task.answer}."
        case "chatty":
            return f"Sure, I am happy to help with that! The answer is {task.answer}. Have a nice day!"
        case "steps":
            return f"{task.working}. So the answer is {task.answer}."


NOTES = {
    "copy": "again",
    "reverse": "backwards",
    "sort": "in order",
    "count": "how many",
    "nth": "is",
    "remove": "leaves",
    "initials": "first letters",
    "add": "makes",
    "larger": "larger",
    "next": "then",
    "opposite": "opposites",
    "pick": "is",
    "explain": "why",
}
DIARY = {
    "copy": "I read {given} and wrote it down again",
    "reverse": "I read {given} and said the words backwards",
    "sort": "I read {given} and put the words in order",
    "count": "I read {given} and wondered how many words there were",
    "nth": "I looked for {given}",
    "remove": "I wrote {given}",
    "initials": "I read {given} and kept only the first letters",
    "add": "I had to work out {given}",
    "larger": "I had to choose the larger one, {given}",
    "next": "I saw {given} and guessed what comes next",
    "opposite": "I heard {given} and said the opposites",
    "pick": "I searched for {given}",
    "explain": "Today {given} and I asked why",
}


SMALL_TALK = (
    "It was a nice day.",
    "I am happy that you came!",
    "Sure, why not?",
    "Can I help you with that?",
    "Have some bread, he said.",
    "The answer is no.",
    "So the answer is yes.",
    "She had no answer.",
    "I am glad to help!",
    "Have a good day!",
)
SEPARATORS = (": ", " - ", " = ", "\n")


@dataclass(frozen=True)
class Paragraph:
    """Plain text: what it is about, which nobody could foresee, and what follows from it."""

    setting: str
    telling: str

    @property
    def text(self) -> str:
        """As it is read."""
        return self.setting + self.telling


def prose(task: Task, register: Register, reported: bool, separator: str) -> Paragraph:
    """The same fact as plain text, as a base model meets it: a terse note, or a diary's sentences.

    A `reported` one quotes somebody who asked for it, as much of the text of the world does. What stands
    between the two parts varies, as it does there.
    """
    if register == "notes":
        setting = task.instruction if reported else f"{task.given} - {NOTES[task.kind]}"
        return Paragraph(f"{setting}{separator}", task.answer)
    setting = task.instruction if reported else DIARY[task.kind].format(given=task.given)
    return Paragraph(f"{setting}{separator}", f"{task.working}. In the end it was {task.answer}.")
