"""Turn a record of a known format into a conversation: system prompt, user turns, assistant turns.

Instruction sources, recorded responses and benchmarks share these readers, because most public formats
contain both sides.
"""

from collections.abc import Callable
from typing import Any

from preceptor.records.chat import ASSISTANT, SPEAKER, USER, chat, parsed, turn_texts
from preceptor.records.layout import Conversation, Layout, RecordError, text_of
from preceptor.records.opening import Row
from preceptor.study.conversations import Role
from preceptor.text import repair

ASKED: tuple[Role, ...] = ("instruction",)
PARENTS = ("parent_id", "parent_message_id")
ANSWERED: tuple[Role, ...] = ("response",)


def read_conversation(row: Row, layout: Layout, needs: tuple[Role, ...] = ASKED) -> Conversation:
    """Read a record. `needs` are the roles whose columns it must have.

    Raises RecordError, with the reason, if the record has no usable conversation.
    """
    return READERS[layout.format](row, layout, needs)


def _optional(row: Row, layout: Layout, role: Role) -> tuple[str, ...]:
    """The text of a role as a tuple, empty if the row has none."""
    value = layout.value(row, role)
    return () if value is None else (text_of(value, layout.column(row, role)),)


def _said(row: Row, layout: Layout, role: Role) -> tuple[str, ...]:
    """Like `_optional`, but a blank text counts as none."""
    return tuple(text for text in _optional(row, layout, role) if text.strip())


def _needed(row: Row, layout: Layout, role: Role, needs: tuple[Role, ...]) -> tuple[str, ...]:
    """The text of a role. The row must have its column if the caller needs it."""
    if role in needs:
        name = layout.column(row, role)
        if role == "instruction":
            _refuse_other_speakers(row, layout)
            return (_question(row[name], name),)
    return _optional(row, layout, role)


def _question(value: Any, name: str) -> str:
    if isinstance(value, list):
        raise RecordError(
            f"column {name!r} contains a list, not text; if it is a list of turns, set 'format: messages' and"
            f" 'columns: {{messages: {name}}}'"
        )
    return text_of(value, name)


def _refuse_other_speakers(row: Row, layout: Layout) -> None:
    """Refuse rows of one message each (OASST's flat files) that are answers or later turns."""
    speaker = next((row[name] for name in layout.unread(row) if name in SPEAKER), None)
    if not isinstance(speaker, str) or speaker.lower() not in (*USER, *ASSISTANT):
        return
    if speaker.lower() in ASSISTANT:
        raise RecordError(f"is a message of the {speaker}, not a question; keep only the users' rows")
    if any(row.get(name) for name in PARENTS):
        raise RecordError("is a later turn of a conversation; write each conversation as one row of messages")


def _system(row: Row, layout: Layout) -> str | None:
    """The system prompt, or None for an empty cell."""
    return next(iter(_said(row, layout, "system")), None)


def _id(row: Row, layout: Layout) -> str | None:
    for name in layout.names.get("id", ()):
        if row.get(name) is not None:
            return repair(str(row[name]))
    return None


def _plain(row: Row, layout: Layout, needs: tuple[Role, ...]) -> Conversation:
    """History, then the instruction with its input below it, then the response."""
    instruction = _needed(row, layout, "instruction", needs)
    asked = _with_input(row, layout, instruction)
    before = _history(row, layout)
    user = (*(asking for asking, _ in before), *asked)
    answer = _instance_output(row, layout) or _needed(row, layout, "response", needs)
    assistant = (*(answered for _, answered in before), *answer)
    return Conversation(_id(row, layout), _system(row, layout), user, assistant)


def _with_input(row: Row, layout: Layout, instruction: tuple[str, ...]) -> tuple[str, ...]:
    parts = (*instruction, *_said(row, layout, "input"))
    own = _instance(row, layout).get("input")
    if own is not None and text_of(own, "instances[0].input").strip():
        parts = (*parts, text_of(own, "instances[0].input"))
    filled = [part for part in parts if part.strip()]
    return ("\n\n".join(filled),) if filled else instruction


def _instance(row: Row, layout: Layout) -> Row:
    """The only instance of a self-instruct task. That format has a list of instances per instruction."""
    if layout.format != "alpaca" or "instances" in layout.ignored or row.get("instances") is None:
        return {}
    instances = parsed(row["instances"], "instances")
    if not isinstance(instances, list) or not all(isinstance(instance, dict) for instance in instances):
        raise RecordError("'instances' is not a list of objects")
    if len(instances) > 1:
        raise RecordError("'instances' contains several inputs; write one row per input")
    return instances[0] if instances else {}


def _instance_output(row: Row, layout: Layout) -> tuple[str, ...]:
    output = _instance(row, layout).get("output")
    return () if output is None else (text_of(output, "instances[0].output"),)


def _history(row: Row, layout: Layout) -> list[tuple[str, str]]:
    """Earlier turns as pairs of instruction and response, read from pairs or messages."""
    value = layout.value(row, "history")
    if value is None or value in ("", []):
        return []
    name = layout.column(row, "history")
    turns = parsed(value, name)
    if isinstance(turns, list) and all(isinstance(turn, list) and len(turn) == 2 for turn in turns):
        return [(text_of(asked, name), text_of(answered, name)) for asked, answered in turns]
    said = chat(turns, name)
    if said.system is not None or len(said.user) != len(said.assistant):
        raise RecordError(f"column {name!r} is not a list of pairs of instruction and response")
    return list(zip(said.user, said.assistant, strict=True))


def _fastchat(row: Row, layout: Layout, _: tuple[Role, ...]) -> Conversation:
    """Arena-Hard and FastChat: question.jsonl has the user turns, an answer file the turns of one choice."""
    id, system = _id(row, layout), _system(row, layout)
    if "choices" in row:
        return Conversation(id, system, (), _answer_turns(row["choices"]))
    if "messages" in row:
        return Conversation(id, system, (), chat(row["messages"], "messages").assistant)
    name = layout.column(row, "instruction")
    alone = name != "turns" and isinstance(row[name], str)
    turns = [text_of(row[name], name)] if alone else row[name]
    return Conversation(id, system, turn_texts(turns, name), ())


def _answer_turns(choices: Any) -> tuple[str, ...]:
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise RecordError("'choices' contains no answer")
    if len(choices) > 1:
        raise RecordError("'choices' contains several answers; write one row per sample")
    return turn_texts(choices[0].get("turns"), "choices[0].turns")


def _chat(row: Row, layout: Layout, _: tuple[Role, ...]) -> Conversation:
    name = layout.column(row, "messages")
    if row[name] is None:
        raise RecordError(f"{name!r} contains no messages")
    said, beside = chat(row[name], name), _system(row, layout)
    if said.system is not None and beside is not None and said.system.strip() != beside.strip():
        raise RecordError(f"has two different system prompts: one in {name!r} and one in its own column")
    return Conversation(_id(row, layout), said.system or beside, said.user, said.assistant)


READERS: dict[str, Callable[[Row, Layout, tuple[Role, ...]], Conversation]] = {
    "plain": _plain,
    "alpaca": _plain,
    "alpaca_eval": _plain,
    "fastchat": _fastchat,
    "messages": _chat,
    "sharegpt": _chat,
}
