"""Conversations as text: named prompt formats, and where the assistant's words lie in the text."""

from dataclasses import dataclass
from typing import Any

# Tags are ordinary text, not added vocabulary (Tülu 1, arXiv 2306.04751; open-instruct's finetune.py). A
# tokenizer without a BOS or EOS token renders nothing in its place. Line breaks behind a block tag are
# written as strings: chat templates are rendered with trim_blocks, which would eat them.
TEMPLATES: dict[str, str] = {
    "tulu": (
        "{{ bos_token }}"
        "{% for m in messages %}"
        "{% if m['role'] == 'assistant' %}<|assistant|>\n{{ m['content'] }}{{ eos_token }}"
        "{% else %}<|{{ m['role'] }}|>\n{{ m['content'] }}{% endif %}"
        "{% if not loop.last or add_generation_prompt %}{{ '\n' }}{% endif %}"
        "{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
    ),
    "chatml": (
        "{{ bos_token }}"
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ),
    "plain": (
        "{{ bos_token }}"
        "{% for m in messages %}{{ m['content'] }}"
        "{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}"
        "{% if not loop.last or add_generation_prompt %}{{ '\n\n' }}{% endif %}"
        "{% endfor %}"
    ),
    # The text as it is, for a model that goes on writing it.
    "raw": "{{ bos_token }}{% for m in messages %}{{ m['content'] }}{% endfor %}",
}


class TemplateProblem(ValueError):
    """A conversation that a chat template refuses or changes; its text becomes the row's error."""


@dataclass(frozen=True)
class Conversation:
    """System prompt and alternating turns, user first. Scoring wants as many assistant as user turns."""

    system: str | None
    user: tuple[str, ...]
    assistant: tuple[str, ...] = ()

    def messages(self, user_turns: int, assistant_turns: int) -> list[dict[str, str]]:
        """The first turns of each side in the form that chat templates take."""
        messages = [] if self.system is None else [{"role": "system", "content": self.system}]
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


def template_of(tokenizer: Any, prompt_format: str) -> str:
    """The chat template of a named format, or the tokenizer's `own`."""
    if prompt_format != "own":
        return TEMPLATES[prompt_format]
    if tokenizer.chat_template is None:
        raise TemplateProblem(
            f"{tokenizer.name_or_path} has no chat template of its own: set 'prompt_format' to one of"
            f" {', '.join(TEMPLATES)}"
        )
    return str(tokenizer.get_chat_template())


def render_prompt(tokenizer: Any, template: str, conversation: Conversation) -> str:
    """The text up to where the assistant's next turn begins."""
    answered = len(conversation.assistant)
    return _render(tokenizer, template, conversation.messages(answered + 1, answered), prompt=True)


def render(tokenizer: Any, template: str, conversation: Conversation) -> Rendered:
    """The whole conversation and the spans of its assistant turns.

    Raises TemplateProblem where the template changes what was said, as some do with reasoning blocks.
    """
    turns = len(conversation.assistant)
    text = _render(tokenizer, template, conversation.messages(turns, turns), prompt=False)
    spans = []
    for number, answer in enumerate(conversation.assistant):
        prompt = _render(tokenizer, template, conversation.messages(number + 1, number), prompt=True)
        start = len(prompt)
        if text.startswith(prompt) and text.startswith(answer, start):
            spans.append((start, start + len(answer)))
        elif text.startswith(prompt) and text.startswith(answer.strip(), start):
            spans.append((start, start + len(answer.strip())))
        else:
            raise TemplateProblem("the chat template changes the response's text or the prompt before it")
    return Rendered(text, tuple(spans))


def _render(tokenizer: Any, template: str, messages: list[dict[str, str]], prompt: bool) -> str:
    try:
        text = tokenizer.apply_chat_template(
            messages, chat_template=template, tokenize=False, add_generation_prompt=prompt
        )
    except Exception as error:
        raise TemplateProblem(f"the chat template refuses the conversation: {error}") from error
    return str(text)
