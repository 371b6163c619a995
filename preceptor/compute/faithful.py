"""Check that a chat template shows every role and every text. Only outer whitespace may change.

The check for roles renders a conversation of the same roles with one unique word each, because a short text
could appear in the rendered one by accident. Then every real text is searched for.
"""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from preceptor.compute.chat_template import OTHER_FORMAT, ChatTemplate, Message, TemplateProblem

log = logging.getLogger(__name__)
THOUGHT = re.compile(r"</?think>")
ROLES = {"system": "the system prompt", "user": "the user's turn", "assistant": "the assistant's turn"}


def refuse_losses(
    template: ChatTemplate,
    tokens: Mapping[str, str],
    messages: Sequence[Message],
    prompt: bool,
    text: str,
) -> None:
    """Raise TemplateProblem if the text lacks part of the messages.

    A prompt may leave out the assistant's earlier thoughts (between <think> and </think>). Templates of
    reasoning models do so on purpose.
    """
    roles = tuple(message["role"] for message in messages)
    if problem := _lost_role(template, tuple(sorted(tokens.items())), roles, prompt):
        raise TemplateProblem(problem)
    names = _names(roles)
    system = [number for number, role in enumerate(roles) if role == "system"]
    if any(messages[number]["content"].strip() not in text for number in system):
        raise TemplateProblem(_sentence(template, names[system[0]], "changes the text of"))
    start = 0
    for number, message in enumerate(messages):
        if message["role"] == "system":  # checked above: it may come after the first turns
            continue
        thought, said = _parts(message)
        if thought and number in _lost_thoughts(template, tuple(sorted(tokens.items())), roles, prompt):
            if not prompt:
                raise TemplateProblem(
                    _sentence(template, names[number], "leaves the thought (<think>) out of")
                )
            _mention(template.origin)
            thought = []
        end = _behind(text, start, thought + said)
        if end is None:
            raise TemplateProblem(_sentence(template, names[number], "changes the text of"))
        start = end


def refuse_unasked(template: ChatTemplate, tokens: Mapping[str, str], messages: Sequence[Message]) -> None:
    """Raise TemplateProblem if a prompt lacks the header that the template writes before an answer.

    Templates that ignore `add_generation_prompt` do this. The model would then continue the user's turn.
    """
    roles = tuple(message["role"] for message in messages)
    if header := _missing_header(template, tuple(sorted(tokens.items())), roles):
        raise TemplateProblem(
            f"{template.origin} writes {header!r} before an answer, but not at the end of a prompt (it"
            f" ignores 'add_generation_prompt'); fix it, or {OTHER_FORMAT}"
        )


@lru_cache(maxsize=4096)
def _missing_header(
    template: ChatTemplate, tokens: tuple[tuple[str, str], ...], roles: tuple[str, ...]
) -> str | None:
    """The header before an answer if the prompt lacks it, else None. An empty thought is not a header."""
    words = [f"qz{role}{number}zq" for number, role in enumerate((*roles, "assistant"))]
    messages = [
        {"role": role, "content": word} for role, word in zip((*roles, "assistant"), words, strict=True)
    ]
    try:
        asked, told = (template.text(dict(tokens), messages[:-1], prompt) for prompt in (True, False))
        answered = template.text(dict(tokens), messages, False)
    except TemplateProblem:  # the template refuses the test words; the row's own texts are checked anyway
        return None
    if asked != told or not answered.startswith(asked):
        return None
    header = answered[len(asked) :].partition(words[-1])[0]
    return header if THOUGHT.sub("", header).strip() else None


@lru_cache(maxsize=4096)
def _lost_role(
    template: ChatTemplate, tokens: tuple[tuple[str, str], ...], roles: tuple[str, ...], prompt: bool
) -> str | None:
    """The message for the first role that the template loses, tested with a unique word per role."""
    words = [f"qz{role}{number}zq" for number, role in enumerate(roles)]
    messages = [{"role": role, "content": word} for role, word in zip(roles, words, strict=True)]
    try:
        text = template.text(dict(tokens), messages, prompt)
    except TemplateProblem:  # as above
        return None
    start = 0
    for word, role, name in zip(words, roles, _names(roles), strict=True):
        found = text.find(word, 0 if role == "system" else start)
        if found < 0:
            how = "changes the order of" if word in text else "leaves out"
            how = "changes the text of" if word not in text and word in text.lower() else how
            return _sentence(template, name, how)
        start = start if role == "system" else found
    return None


@lru_cache(maxsize=4096)
def _lost_thoughts(
    template: ChatTemplate, tokens: tuple[tuple[str, str], ...], roles: tuple[str, ...], prompt: bool
) -> frozenset[int]:
    """Numbers of the messages whose thought the template leaves out, tested with a unique word each."""
    words = {number: f"qzthought{number}zq" for number, role in enumerate(roles) if role == "assistant"}
    messages = [
        {"role": role, "content": f"<think>\n{words[n]}\n</think>\n\nqz{n}zq" if n in words else f"qz{n}zq"}
        for n, role in enumerate(roles)
    ]
    try:
        text = template.text(dict(tokens), messages, prompt)
    except TemplateProblem:  # as above
        return frozenset()
    return frozenset(number for number, word in words.items() if word not in text)


def _parts(message: Message) -> tuple[list[str], list[str]]:
    """The thoughts before an assistant's answer, and the answer, each stripped."""
    content = message["content"]
    parts = [part.strip() for part in THOUGHT.split(content)]
    if message["role"] != "assistant" or len(parts) == 1:
        return [], [content.strip()]
    return [part for part in parts[:-1] if part], [parts[-1]]


def _behind(text: str, start: int, parts: Sequence[str]) -> int | None:
    """The end of the last part if all parts appear in the text in order, else None."""
    for part in parts:
        found = text.find(part, start)
        if found < 0:
            return None
        start = found + len(part)
    return start


def _names(roles: Sequence[str]) -> list[str]:
    return list(_named(roles))


def _named(roles: Sequence[str]) -> Iterator[str]:
    turns = 0
    for role in roles:
        turns += role == "user"
        several = role != "system" and roles.count(role) > 1
        yield ROLES[role] + (f" {turns} of {roles.count(role)}" if several else "")


def _sentence(template: ChatTemplate, name: str, how: str) -> str:
    cure = f"fix it, or {OTHER_FORMAT}"
    if name == ROLES["system"]:
        cure += ", or leave out instructions with a system prompt"
    return f"{template.origin} {how} {name}; {cure}"


@lru_cache(maxsize=64)
def _mention(origin: str) -> None:
    log.warning("%s leaves thoughts (<think>) out of earlier answers; later turns do not see them", origin)
