"""An alert: a sentence for people, and the facts behind it for programs."""

import json
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from preceptor.text import digest, repair

Kind = Literal["best_teacher_changed", "check_failed", "run_failed", "alerts_dropped"]
Fact = str | int | float | None
LONGEST = 2000  # characters: chats refuse or cut longer texts


class Alert(BaseModel):
    """`id` stays the same however often it is sent, so that a receiver can drop repeats."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: Kind
    text: str
    facts: dict[str, Fact]


def make_alert(kind: Kind, text: str, **facts: Fact) -> Alert:
    """An alert that is known by its kind and facts."""
    return Alert(
        id=digest(kind, json.dumps(facts, sort_keys=True)), kind=kind, text=readable(text), facts=facts
    )


def readable(text: str) -> str:
    """One line of bounded length; no angle brackets, by which a row could page a whole chat channel."""
    line = " ".join(repair(text).split()).replace("<", "‹").replace(">", "›")
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def message(alert: Alert, study: str) -> Mapping[str, Fact]:
    """What a webhook gets: `text` is what chats show."""
    text = f"{study}: {alert.text}"
    return {"text": text, "id": alert.id, "kind": alert.kind, "study": study, **alert.facts}
