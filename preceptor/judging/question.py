"""Questions to a judge, made from a prompt file, with the parser of their answers."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from preceptor.endpoint.completion import Completion
from preceptor.judging.prompt_file import PromptFile
from preceptor.text import digest


@dataclass(frozen=True)
class Reading:
    """The verdict in a judge's answer, and its outcome for the judged response."""

    verdict: str
    outcome: float


@dataclass(frozen=True)
class Question:
    """The body of a request (without the model) and the parser of its answer.

    `wanted` names the expected verdict in error messages.
    """

    body: dict[str, Any]
    read: Callable[[Completion], Reading | None]
    wanted: str = "verdict"


def question(
    prompt: PromptFile, places: Mapping[str, str], parameters: Mapping[str, Any], flip: bool = False
) -> Question:
    """Make a question from a prompt file.

    `parameters` are added to the request. With `flip`, the outcome is 1 - the label's outcome, because the
    judged response is shown in the place of the reference.
    """
    body = {"messages": _messages(prompt, places), **parameters}
    if prompt.response_format is not None:
        body["response_format"] = prompt.response_format

    def read(completion: Completion) -> Reading | None:
        # A truncated answer may contain a verdict that it only quotes.
        label = None if completion.finish_reason == "length" else prompt.label(completion.text)
        if label is None:
            return None
        worth = prompt.labels[label]
        return Reading(label, 1 - worth if flip else worth)

    return Question(body, read, prompt.wanted)


def sections(mark: str, texts: Iterable[tuple[str, str]]) -> str:
    """Texts with titles, each between two marks. `mark_of` makes a mark that no text can contain."""
    return "\n\n".join(f"{mark} {title} BEGINS\n{text}\n{mark} {title} ENDS" for title, text in texts)


def mark_of(*texts: str) -> str:
    """A mark from a hash of all texts, which the author of a text cannot know."""
    return f"#{digest(*texts)}#"


def prompt_hash(body: dict[str, Any]) -> str:
    """The hash of the exact messages."""
    return digest(*(text for message in body["messages"] for text in (message["role"], message["content"])))


def _messages(prompt: PromptFile, places: Mapping[str, str]) -> list[dict[str, str]]:
    texts = {"{form}": prompt.form, **places}
    messages = [{"role": "user", "content": _filled(prompt.user, texts)}]
    if prompt.system is not None:
        messages.insert(0, {"role": "system", "content": _filled(prompt.system, texts)})
    return messages


def _filled(text: str, texts: Mapping[str, str]) -> str:
    """Fill the placeholders of a text in one pass, so that inserted texts are not filled again."""
    pattern = "|".join(re.escape(place) for place in texts)
    return re.sub(pattern, lambda found: texts[found.group()], text)
