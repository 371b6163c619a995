"""Rows with conversations: the columns that each format reads, and a study's names for them."""

from typing import Literal, Self

from pydantic import model_validator

from preceptor.study.fields import Frozen, InstructionFormat, Records

Role = Literal["instruction", "input", "system", "history", "response", "messages", "id"]
Names = tuple[str, ...]  # the first of these columns that a row has is read

ROW: dict[Role, Names] = {
    "instruction": ("instruction",),
    "input": ("input",),
    "system": ("system",),
    "history": ("history",),
    "id": ("id",),
}
CHAT: dict[Role, Names] = {"system": ("system",), "id": ("id",)}
ROLES: dict[str, dict[Role, Names]] = {
    "plain": {**ROW, "response": ("response",)},
    "alpaca": {**ROW, "response": ("output",)},
    "alpaca_eval": {**ROW, "response": ("output",)},
    "fastchat": {
        "instruction": ("turns", "prompt"),
        "system": ("system",),
        "id": ("question_id", "uid"),
    },
    "messages": {**CHAT, "messages": ("messages",)},
    "sharegpt": {**CHAT, "messages": ("conversations",)},
}


class Columns(Frozen):
    """Names of a file's columns that differ from its format's."""

    instruction: str | None = None
    input: str | None = None
    system: str | None = None
    history: str | None = None
    response: str | None = None
    messages: str | None = None
    id: str | None = None

    def given(self) -> dict[Role, str]:
        """The columns that the study sets."""
        roles: dict[Role, str | None] = {
            "instruction": self.instruction,
            "input": self.input,
            "system": self.system,
            "history": self.history,
            "response": self.response,
            "messages": self.messages,
            "id": self.id,
        }
        return {role: name for role, name in roles.items() if name is not None}


class Conversations(Records):
    """Rows of a format; `ignore` names columns with text that the study leaves out on purpose."""

    format: InstructionFormat = "plain"
    """The format of a row."""
    columns: Columns = Columns()
    """Names of columns that differ from the format's."""
    ignore: tuple[str, ...] = ()
    """Columns with text that the study leaves out on purpose."""

    @model_validator(mode="after")
    def _columns_of_the_format(self) -> Self:
        known = ROLES[self.format]
        for role in self.columns.given():
            if role not in known:
                raise ValueError(
                    f"format {self.format!r} has no column for {role!r}: 'columns' takes {', '.join(known)}"
                )
        return self

    @property
    def reading(self) -> dict[str, object]:
        """How rows are read, for fingerprints. Settings at their defaults are left out."""
        named = {"columns": dict(self.columns.given()), "ignore": list(self.ignore)}
        return {"format": self.format, **{key: value for key, value in named.items() if value}}
