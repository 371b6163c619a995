"""Questions to a judge: a prompt file's texts with their places filled in, and how the answer is read."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from preceptor.endpoint.completion import Completion
from preceptor.judging.prompt_file import PromptFile
from preceptor.text import digest


@dataclass(frozen=True)
class Reading:
    """A verdict as the judge's answer says it, and its outcome for the response that is judged."""

    verdict: str
    outcome: float


@dataclass(frozen=True)
class Question:
    """The body of a request (without the model), and how its answer is read; `wanted` names what is read."""

    body: dict[str, Any]
    read: Callable[[Completion], Reading | None]
    wanted: str = "verdict"


def question(
    prompt: PromptFile, places: Mapping[str, str], parameters: Mapping[str, Any], flip: bool = False
) -> Question:
    """What a judge is asked in the words of a prompt file.

    `parameters` are the request's besides the messages. With `flip` a verdict is worth 1 - its label's
    outcome: the response stands where the labels mean the reference.
    """
    body = {"messages": _messages(prompt, places), **parameters}
    if prompt.response_format is not None:
        body["response_format"] = prompt.response_format

    def read(completion: Completion) -> Reading | None:
        # What was cut before its end may hold a verdict that it only quotes.
        label = None if completion.finish_reason == "length" else prompt.label(completion.text)
        if label is None:
            return None
        worth = prompt.labels[label]
        return Reading(label, 1 - worth if flip else worth)

    return Question(body, read, prompt.wanted)


def sections(mark: str, texts: Iterable[tuple[str, str]]) -> str:
    """Texts under their titles, each between the mark; `mark_of` makes one that no text can contain."""
    return "\n\n".join(f"{mark} {title} BEGINS\n{text}\n{mark} {title} ENDS" for title, text in texts)


def mark_of(*texts: str) -> str:
    """A mark made from the texts themselves: whoever writes a text cannot know it."""
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
    """The text with its places filled in, each once: nothing inside a filled place is filled again."""
    pattern = "|".join(re.escape(place) for place in texts)
    return re.sub(pattern, lambda found: texts[found.group()], text)
