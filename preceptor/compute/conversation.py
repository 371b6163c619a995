"""Render conversations as text, and find the assistant's turns in it."""

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
# Text that some templates change: tags, quotes, line breaks, spaces, non-ASCII characters.
AWKWARD = "Is <b>a & b</b> \"so\" or 'so'?\n\n  def f(x):\n\treturn {{ x }}  # 2 < 3, ünï 你好 😀"


@dataclass(frozen=True)
class Conversation:
    """System prompt and alternating turns, user first. Scoring needs as many assistant as user turns.

    A blank system prompt counts as none.
    """

    system: str | None
    user: tuple[str, ...]
    assistant: tuple[str, ...] = ()

    def messages(self, user_turns: int, assistant_turns: int) -> list[dict[str, str]]:
        """The first turns of each side, in the format of chat templates."""
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
    """The text that a model sees, and the (start, end) character offsets of each assistant turn."""

    text: str
    spans: tuple[tuple[int, int], ...]


def sample(system: bool, turns: int, thought: bool = False) -> Conversation:
    """A sample conversation to test a template with. With `thought`, each answer begins with a thought."""
    asked, answered = (tuple(f"{word} {n}: {AWKWARD}" for n in range(turns)) for word in ("Asked", "Said"))
    if thought:
        answered = tuple(f"<think>\nHow to say it.\n</think>\n\n{answer}" for answer in answered)
    return Conversation(f"Told: {AWKWARD}" if system else None, asked, answered)


def render_prompt(tokenizer: Any, template: ChatTemplate, conversation: Conversation) -> str:
    """The text up to where the assistant's next turn begins.

    Raises TemplateProblem if the template refuses the conversation, loses part of it, or does not ask for an
    answer.
    """
    answered = len(conversation.assistant)
    messages = conversation.messages(answered + 1, answered)
    text = _faithful(tokenizer, template, messages, prompt=True)
    refuse_unasked(template, special_tokens(tokenizer), messages)
    return text


def render_text(tokenizer: Any, template: ChatTemplate, conversation: Conversation) -> str:
    """The whole conversation as text. The template may add text anywhere.

    Raises TemplateProblem if the template refuses the conversation or loses part of it.
    """
    turns = len(conversation.assistant)
    return _faithful(tokenizer, template, conversation.messages(turns, turns), prompt=False)


def render(tokenizer: Any, template: ChatTemplate, conversation: Conversation) -> Rendered:
    """The whole conversation as text, with a span for each assistant turn, right after its prompt.

    A space that the template adds before an answer (Llama 2) belongs to the answer: the model generates it.
    Raises TemplateProblem if the template refuses the conversation, loses part of it, or adds other text
    before an answer. Some templates add an empty thought.
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
                f"{template.origin} adds text before an answer, or changes the prompt once it is answered,"
                f" so the answer cannot be located; {OTHER_FORMAT}"
            )
        spans.append((len(prompt), end))
    return Rendered(text, tuple(spans))


def _end_of(answer: str, text: str, start: int) -> int | None:
    """The end of an answer that begins at `start`, whitespace aside; None if it does not begin there."""
    stripped = answer.strip()
    if not stripped:
        return start + len(answer) if text.startswith(answer, start) else start
    first = text.find(stripped, start)
    if first < 0 or text[start:first].strip():
        return None
    end, blank = first + len(stripped), answer[len(answer.rstrip()) :]
    while not text.startswith(blank, end):  # the template may drop some of the trailing whitespace
        blank = blank[:-1]
    return end + len(blank)


def _trims_ends(
    tokens: Mapping[str, str], template: ChatTemplate, conversation: Conversation, text: str
) -> bool:
    """Whether the template strips the answers' trailing whitespace."""
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
