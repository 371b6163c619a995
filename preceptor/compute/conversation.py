"""Conversations as text, and where the assistant's words lie in it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from preceptor.compute.chat_template import (
    OTHER_FORMAT,
    PROMPT_DATE,
    TEMPLATES,
    ChatTemplate,
    TemplateProblem,
    special_tokens,
    template_of,
)
from preceptor.compute.faithful import refuse_losses, refuse_unasked

__all__ = [
    "PROMPT_DATE",
    "TEMPLATES",
    "ChatTemplate",
    "Conversation",
    "Rendered",
    "TemplateProblem",
    "render",
    "render_prompt",
    "render_text",
    "sample",
    "template_of",
]
SHAPES = tuple((system, turns) for turns in (1, 2, 3) for system in (False, True))
# What templates are known to change: tags, quotes, line breaks, blanks, signs beyond ASCII.
AWKWARD = "Is <b>a & b</b> \"so\" or 'so'?\n\n  def f(x):\n\treturn {{ x }}  # 2 < 3, ünï 你好 😀"


@dataclass(frozen=True)
class Conversation:
    """System prompt and alternating turns, user first. Scoring wants as many assistant as user turns.

    A system prompt of blanks is none.
    """

    system: str | None
    user: tuple[str, ...]
    assistant: tuple[str, ...] = ()

    def messages(self, user_turns: int, assistant_turns: int) -> list[dict[str, str]]:
        """The first turns of each side in the form that chat templates take."""
        messages = []
        if self.system is not None and self.system.strip():
            messages.append({"role": "system", "content": self.system})
        for number in range(user_turns):
            messages.append({"role": "user", "content": self.user[number]})
            if number < assistant_turns:
                messages.append({"role": "assistant", "content": self.assistant[number]})
        return messages


@dataclass(frozen=True)
class Rendered:
    """The text that a model sees, and the (start, end) characters of each assistant turn in it."""

    text: str
    spans: tuple[tuple[int, int], ...]


def sample(system: bool, turns: int, thought: bool = False) -> Conversation:
    """A conversation of so many turns that a template is tried with; in a `thought` one answers have one."""
    asked, answered = (tuple(f"{word} {n}: {AWKWARD}" for n in range(turns)) for word in ("Asked", "Said"))
    if thought:
        answered = tuple(f"<think>\nHow to say it.\n</think>\n\n{answer}" for answer in answered)
    return Conversation(f"Told: {AWKWARD}" if system else None, asked, answered)


def render_prompt(tokenizer: Any, template: ChatTemplate, conversation: Conversation) -> str:
    """The text up to where the assistant's next turn begins.

    Raises TemplateProblem where the template refuses the conversation, loses a part of it, or does not ask
    for an answer.
    """
    answered = len(conversation.assistant)
    messages = conversation.messages(answered + 1, answered)
    text = _faithful(tokenizer, template, messages, prompt=True)
    refuse_unasked(template, special_tokens(tokenizer), messages)
    return text


def render_text(tokenizer: Any, template: ChatTemplate, conversation: Conversation) -> str:
    """The whole conversation; a template may add text of its own anywhere.

    Raises TemplateProblem where it refuses the conversation or loses a part of it.
    """
    turns = len(conversation.assistant)
    return _faithful(tokenizer, template, conversation.messages(turns, turns), prompt=False)


def render(tokenizer: Any, template: ChatTemplate, conversation: Conversation) -> Rendered:
    """The whole conversation and the spans of its assistant turns, each right behind what asks for it.

    A blank that the template itself sets there, as Llama 2's does, is the answer's: the model has to say it.
    Raises TemplateProblem where the template refuses the conversation, loses a part of it, or adds other
    text before an answer, as some do with an empty thought.
    """
    tokens = special_tokens(tokenizer)
    text = render_text(tokenizer, template, conversation)
    trims = _trims_ends(tokens, template, conversation, text)
    spans = []
    for number, answer in enumerate(conversation.assistant):
        prompt = template.text(tokens, conversation.messages(number + 1, number), prompt=True)
        end = _end_of(answer.rstrip() if trims else answer, text, len(prompt))
        if end is None or not text.startswith(prompt):
            raise TemplateProblem(
                f"{template.origin} adds text of its own before an answer, or changes the prompt once it is"
                f" answered, so that the answer's place cannot be told: {OTHER_FORMAT}"
            )
        spans.append((len(prompt), end))
    return Rendered(text, tuple(spans))


def _end_of(answer: str, text: str, start: int) -> int | None:
    """Where an answer ends that begins at `start`, blanks aside; None where it does not begin there."""
    said = answer.strip()
    if not said:
        return start + len(answer) if text.startswith(answer, start) else start
    first = text.find(said, start)
    if first < 0 or text[start:first].strip():
        return None
    end, blank = first + len(said), answer[len(answer.rstrip()) :]
    while not text.startswith(blank, end):  # which the template leaves out, or a part of it
        blank = blank[:-1]
    return end + len(blank)


def _trims_ends(
    tokens: Mapping[str, str], template: ChatTemplate, conversation: Conversation, text: str
) -> bool:
    """Whether the template leaves out the blanks behind the answers: what stands there is then its own."""
    trimmed = tuple(answer.rstrip() for answer in conversation.assistant)
    if trimmed == conversation.assistant:
        return False
    turns = len(trimmed)
    messages = replace(conversation, assistant=trimmed).messages(turns, turns)
    return template.text(tokens, messages, prompt=False) == text


def _faithful(tokenizer: Any, template: ChatTemplate, messages: list[dict[str, str]], prompt: bool) -> str:
    tokens = special_tokens(tokenizer)
    text = template.text(tokens, messages, prompt)
    refuse_losses(template, tokens, messages, prompt, text)
    return text
