"""Decide when two conversations are the same instruction, and give instructions their ids.

Ids were once hashes of a form that merges too much (`folded`). Existing stores keep their ids: of the texts
that share a folded form, the first in the study has the hash of that form. Each further one has another hash.
"""

from collections.abc import Iterable

from preceptor.text import digest, folded, normalise

APART = "told apart"  # keeps hashes of normal forms and folded forms distinct


def conversation_key(system: str | None, turns: Iterable[str]) -> tuple[str, ...]:
    """A key that is equal for two conversations that look the same to a reader."""
    return tuple(normalise(turn) for turn in (system or "", *turns))


def first_id(system: str | None, turns: Iterable[str]) -> str:
    """The id of the first conversation with its folded form."""
    return digest(*(folded(turn) for turn in (system or "", *turns)))


def further_id(system: str | None, turns: Iterable[str]) -> str:
    """The id of a conversation whose folded form an earlier one already has."""
    return digest(APART, *conversation_key(system, turns))


def is_id_of(id: str, system: str | None, turns: Iterable[str]) -> bool:
    """Whether an id belongs to an instruction with these texts."""
    said = tuple(turns)
    return id in (first_id(system, said), further_id(system, said))
