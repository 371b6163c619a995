"""An alert: a sentence for people, and the same facts for programs."""

import json
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from preceptor.text import digest, repair

Kind = Literal["best_teacher_changed", "check_failed", "run_failed", "alerts_dropped"]
Fact = str | int | float | None
LONGEST = 2000  # characters: chats refuse or cut longer texts


class Alert(BaseModel):
    """An alert. Its `id` is the same each time it is sent, so that a receiver can drop repeats."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: Kind
    text: str
    facts: dict[str, Fact]


def make_alert(kind: Kind, text: str, **facts: Fact) -> Alert:
    """An alert whose id is a hash of its kind and facts."""
    return Alert(
        id=digest(kind, json.dumps(facts, sort_keys=True)), kind=kind, text=readable(text), facts=facts
    )


def readable(text: str) -> str:
    """One line of at most LONGEST characters, without angle brackets: in chats they can mention everyone."""
    line = " ".join(repair(text).split()).replace("<", "‹").replace(">", "›")
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def message(alert: Alert, study: str) -> Mapping[str, Fact]:
    """The body for the webhook. Chats show its `text`."""
    text = f"{study}: {alert.text}"
    return {"text": text, "id": alert.id, "kind": alert.kind, "study": study, **alert.facts}
