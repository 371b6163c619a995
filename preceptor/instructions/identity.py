"""When two conversations are one instruction, and the id that it has.

Ids were once hashes of a form that merges too much (`folded`). They stay what they were: of the texts which
share that form the first in the study keeps the hash of it, as in every store that there is, and each further
one gets a hash of its own.
"""

from collections.abc import Iterable

from preceptor.text import digest, folded, normalise

APART = "told apart"  # so that no hash of a normal form is one of a folded one


def conversation_key(system: str | None, turns: Iterable[str]) -> tuple[str, ...]:
    """Equal for two conversations if a reader would call them the same."""
    return tuple(normalise(turn) for turn in (system or "", *turns))


def first_id(system: str | None, turns: Iterable[str]) -> str:
    """The id of the first conversation of its folded form."""
    return digest(*(folded(turn) for turn in (system or "", *turns)))


def further_id(system: str | None, turns: Iterable[str]) -> str:
    """The id of another conversation of a folded form that an earlier one has."""
    return digest(APART, *conversation_key(system, turns))


def is_id_of(id: str, system: str | None, turns: Iterable[str]) -> bool:
    """Whether an instruction with this id says this."""
    said = tuple(turns)
    return id in (first_id(system, said), further_id(system, said))
