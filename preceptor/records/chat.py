"""Read messages in the shapes of public files: a list of objects or texts, a dict of lists, or JSON.

A message's text is a string or a list of text parts. A message that contains anything else (an image, a tool
call or result) makes the record unusable, and the reason names it: without that part the question would be a
different one.
"""

import json
from typing import Any

from preceptor.records.layout import Conversation, RecordError, text_of

SPEAKER = ("role", "from")
TEXT = ("content", "value")
SYSTEM = ("system", "developer")
USER = ("user", "human", "prompter")
ASSISTANT = ("assistant", "gpt", "chatgpt", "bing", "bard", "model")
TOOL = ("tool", "function", "observation", "function_call", "ipython")
CALLS = ("tool_calls", "function_call", "tool_call_id")
READ = frozenset({*SPEAKER, *TEXT, *CALLS})  # keys of a message that are read, or refused by name
TEXT_PARTS = ("text", "input_text", "output_text")


def chat(value: Any, column: str) -> Conversation:
    """The turns of a conversation, which must alternate. Raises RecordError for an invalid one."""
    system: str | None = None
    user: list[str] = []
    assistant: list[str] = []
    for number, message in enumerate(messages_of(value, column)):
        place = f"{column}[{number}]"
        if not isinstance(message, dict):
            raise RecordError(f"{place} is not an object")
        key, speaker = _speaker(message)
        if speaker in TOOL or any(message.get(call) for call in CALLS):
            raise RecordError(f"{place} is a tool call or result ({key} {speaker!r}), which is not supported")
        empty = [name for name in TEXT if name in message and message[name] in (None, "", [])]
        if number == 0 and speaker in SYSTEM and empty:
            continue
        text = _text(message, place)
        if speaker in SYSTEM and number == 0:
            system = text if text.strip() else None
        elif speaker in USER and len(user) == len(assistant):
            user.append(text)
        elif speaker in ASSISTANT and len(user) == len(assistant) + 1:
            assistant.append(text)
        else:
            raise RecordError(
                f"{column}: turns do not alternate between user and assistant ({key} {speaker!r})"
            )
    return Conversation(None, system, tuple(user), tuple(assistant))


def messages_of(value: Any, column: str) -> list[Any]:
    """The list of messages. Raises RecordError if there are none."""
    found = parsed(value, column)
    if isinstance(found, dict):
        found = _transposed(found, column)
    if not isinstance(found, list) or not found:
        raise RecordError(f"{column!r} contains no messages")
    return _spoken(found) if all(isinstance(turn, str) for turn in found) else found


def _spoken(turns: list[str]) -> list[dict[str, Any]]:
    """Messages from plain texts, the user's first (LIMA, UltraChat). The last may be either side's.

    If every text is a JSON message, those messages are returned.
    """
    if all(turn.lstrip().startswith("{") for turn in turns):
        found = [_message(turn) for turn in turns]
        if all(found):
            return [message for message in found if message]
    return [{"role": (USER, ASSISTANT)[number % 2][0], "content": text} for number, text in enumerate(turns)]


def _message(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and any(key in value for key in SPEAKER) else None


def parsed(value: Any, column: str) -> Any:
    """The value of a cell. CSV files and some datasets store lists and objects as JSON text."""
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{column!r} contains text that is not JSON: {_without_place(error)}") from error


def turn_texts(turns: Any, column: str) -> tuple[str, ...]:
    """User or assistant turns of Arena-Hard and FastChat, where a turn may be {"content": text}."""
    turns = parsed(turns, column)
    if not isinstance(turns, list) or not turns:
        raise RecordError(f"{column!r} contains no turns")
    return tuple(
        _text(turn, f"{column}[{number}]") if isinstance(turn, dict) else text_of(turn, f"{column}[{number}]")
        for number, turn in enumerate(turns)
    )


def _without_place(error: Exception) -> str:
    """The reason without the position, so that rows with the same mistake are counted together."""
    return str(error).split(":")[0]


def _transposed(columns: dict[str, Any], column: str) -> list[dict[str, Any]]:
    """The messages of a dict of lists, which is how `datasets` stores a sequence of objects."""
    lists = {key: value for key, value in columns.items() if isinstance(value, list)}
    if not lists or len({len(value) for value in lists.values()}) > 1 or len(lists) < len(columns):
        raise RecordError(f"{column!r} contains an object that is not a list of messages")
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def _speaker(message: dict[str, Any]) -> tuple[str, Any]:
    key = next((key for key in SPEAKER if key in message), SPEAKER[0])
    return key, message.get(key)


def _text(message: dict[str, Any], place: str) -> str:
    key = next((key for key in TEXT if key in message), None)
    if key is None:
        there = ", ".join(map(str, list(message)[:8]))
        raise RecordError(f"{place}: no key {TEXT[0]!r} (its keys are {there})")
    content = message[key]
    if isinstance(content, dict) and "answer" in content:
        content = content["answer"]  # Arena-Hard 2 writes an answer as {"answer": text}
    if isinstance(content, list):
        return "\n".join(_part(part, f"{place}.{key}[{number}]") for number, part in enumerate(content))
    return text_of(content, f"{place}.{key}")


def _part(part: Any, place: str) -> str:
    """One of OpenAI's content parts."""
    if isinstance(part, dict) and part.get("type", "text") in TEXT_PARTS:
        return text_of(part.get("text"), f"{place}.text")
    kind = part.get("type") if isinstance(part, dict) else None
    if kind is not None:
        raise RecordError(f"{place} is {kind!r}, but only text is supported")
    return text_of(part, place)
