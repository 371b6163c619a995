"""One record of a known format → a conversation: system prompt, user turns, assistant turns.

The same readers serve instruction sources and recorded responses: most public formats hold both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from preceptor.text import repair

Row = dict[str, Any]
USER = ("user", "human", "prompter")
ASSISTANT = ("assistant", "gpt", "chatgpt", "bing", "bard")


class RecordError(ValueError):
    """A record that holds no usable conversation; its text is the reason that is counted."""


@dataclass(frozen=True)
class Conversation:
    """What a record says: the source's own id, and the turns of each side."""

    id: str | None
    system: str | None
    user: tuple[str, ...]
    assistant: tuple[str, ...]


@dataclass(frozen=True)
class Columns:
    """Which columns of a `plain` record hold what."""

    instruction: str = "instruction"
    response: str | None = None
    system: str | None = None
    id: str | None = None


def read_conversation(row: Row, format: str, columns: Columns) -> Conversation:
    """Read a record; raises RecordError with the reason where it holds none."""
    return READERS[format](row, columns)


def _text(row: Row, column: str) -> str:
    if column not in row:
        raise RecordError(f"no column {column!r} (there are {', '.join(map(str, list(row)[:8]))})")
    value = row[column]
    if value is None:
        raise RecordError(f"column {column!r} is null")
    if not isinstance(value, str):
        raise RecordError(f"column {column!r} holds a {type(value).__name__}, not text")
    return repair(value)


def _optional(row: Row, column: str | None) -> tuple[str, ...]:
    return (_text(row, column),) if column is not None and row.get(column) is not None else ()


def _id(row: Row, column: str | None) -> str | None:
    return None if column is None or row.get(column) is None else repair(str(row[column]))


def _plain(row: Row, columns: Columns) -> Conversation:
    user: tuple[str, ...]
    assistant: tuple[str, ...] = ()
    if columns.response is None:
        user = (_text(row, columns.instruction),)
    elif columns.response in row:
        user, assistant = _optional(row, columns.instruction), _optional(row, columns.response)
    else:
        raise RecordError(f"no column {columns.response!r} (there are {', '.join(map(str, list(row)[:8]))})")
    system = next(iter(_optional(row, columns.system)), None)
    return Conversation(_id(row, columns.id), system, user, assistant)


def _alpaca(row: Row, _: Columns) -> Conversation:
    parts = (_text(row, "instruction"), *_optional(row, "input"))
    instruction = "\n\n".join(part for part in parts if part.strip())
    return Conversation(_id(row, "id"), None, (instruction,), _optional(row, "output"))


def _alpaca_eval(row: Row, _: Columns) -> Conversation:
    return Conversation(None, None, (_text(row, "instruction"),), _optional(row, "output"))


def _fastchat(row: Row, columns: Columns) -> Conversation:
    """Arena-Hard and FastChat: question.jsonl holds user turns, an answer file one choice's turns."""
    id = _id(row, "question_id") or _id(row, "uid")
    if "choices" in row:
        return Conversation(id, None, (), _answer_turns(row["choices"]))
    if "messages" in row:
        return Conversation(id, None, (), _messages(row, columns).assistant)
    turns = row["turns"] if "turns" in row else [_text(row, "prompt")]
    return Conversation(id, None, _texts(turns, "turns"), ())


def _answer_turns(choices: Any) -> tuple[str, ...]:
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise RecordError("'choices' holds no answer")
    if len(choices) > 1:
        raise RecordError("'choices' holds several answers: give each sample a row of its own")
    return _texts(choices[0].get("turns"), "choices[0].turns")


def _texts(turns: Any, column: str) -> tuple[str, ...]:
    if not isinstance(turns, list) or not turns:
        raise RecordError(f"{column!r} holds no turns")
    # Arena-Hard wraps a turn as {"content": text}.
    return tuple(_text({"turn": t.get("content") if isinstance(t, dict) else t}, "turn") for t in turns)


def _messages(row: Row, _: Columns) -> Conversation:
    return _chat(row, "messages", "role", "content")


def _sharegpt(row: Row, _: Columns) -> Conversation:
    return _chat(row, "conversations", "from", "value")


def _chat(row: Row, column: str, role: str, content: str) -> Conversation:
    messages = row.get(column)
    if not isinstance(messages, list) or not messages:
        raise RecordError(f"{column!r} holds no messages")
    system: str | None = None
    user: list[str] = []
    assistant: list[str] = []
    for number, message in enumerate(messages):
        if not isinstance(message, dict):
            raise RecordError(f"{column}[{number}] is not an object")
        speaker, text = message.get(role), _text(_unwrapped(message, content), content)
        if speaker == "system" and number == 0:
            system = text
        elif speaker in USER and len(user) == len(assistant):
            user.append(text)
        elif speaker in ASSISTANT and len(user) == len(assistant) + 1:
            assistant.append(text)
        else:
            raise RecordError(
                f"{column}: turns do not alternate between user and assistant ({role} {speaker!r})"
            )
    return Conversation(_id(row, "id"), system, tuple(user), tuple(assistant))


def _unwrapped(message: Row, content: str) -> Row:
    """Arena-Hard 2 wraps an answer as {"answer": text}."""
    value = message.get(content)
    return {**message, content: value.get("answer")} if isinstance(value, dict) else message


READERS: dict[str, Callable[[Row, Columns], Conversation]] = {
    "plain": _plain,
    "alpaca": _alpaca,
    "alpaca_eval": _alpaca_eval,
    "fastchat": _fastchat,
    "messages": _messages,
    "sharegpt": _sharegpt,
}
