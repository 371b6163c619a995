"""The miniature's models: eight teachers, two bases, the reference, and what the two classifiers start from.

Style is crossed with family and size as in a Latin square: each family has two styles, each style one small
and one large teacher, so neither family nor size nor style alone decides who wins. How long each was trained
varies too.
"""

from dataclasses import dataclass

from studies.demo.zoo.architectures import LARGE, SMALL, Family, Size
from studies.demo.zoo.texts import STYLES, Register, Style


@dataclass(frozen=True)
class Talker:
    """A model trained to answer the making set's instructions in these styles."""

    name: str
    family: Family
    size: Size
    styles: tuple[Style, ...]
    steps: int
    seed: int


@dataclass(frozen=True)
class Reader:
    """A base model: trained on plain text alone, in one register."""

    name: str
    family: Family
    size: Size
    register: Register
    steps: int
    seed: int


@dataclass(frozen=True)
class Grader:
    """A classifier that starts from a talker and learns from the teachers' answers which are right."""

    name: str
    start: Talker
    steps: int
    seed: int


TEACHERS = (
    Talker("llama-small", "llama", SMALL, ("terse",), 800, 11),
    Talker("llama-large", "llama", LARGE, ("plain",), 1200, 12),
    Talker("qwen3-small", "qwen3", SMALL, ("chatty",), 1200, 13),
    Talker("qwen3-large", "qwen3", LARGE, ("steps",), 800, 14),
    Talker("gemma2-small", "gemma2", SMALL, ("plain",), 1000, 15),
    Talker("gemma2-large", "gemma2", LARGE, ("chatty",), 1000, 16),
    Talker("phi3-small", "phi3", SMALL, ("steps",), 1400, 17),
    Talker("phi3-large", "phi3", LARGE, ("terse",), 700, 18),
)
REFERENCE = Talker("mistral-reference", "mistral", SMALL, ("plain",), 900, 19)
BASES = (
    Reader("notes-base", "llama", LARGE, "notes", 4000, 21),
    Reader("diary-base", "qwen3", LARGE, "diary", 2500, 22),
)
REWARD_MODEL = Grader("reward-model", Talker("reward-start", "llama", LARGE, STYLES, 1500, 31), 1200, 41)
JUDGE = Grader("judge", Talker("judge-start", "qwen3", LARGE, STYLES, 1500, 32), 1200, 42)
