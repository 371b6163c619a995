"""A synthetic study of the paper's size: recorded teachers with scores, and bases with a fake scorer."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl
import yaml

from preceptor.lake.schemas import BASE_LOSSES

if TYPE_CHECKING:
    from preceptor.compute.conversation import Conversation
    from preceptor.study.schema import Base

BASE_MODEL = Path(__file__).parent.parent / "studies" / "demo" / "bases" / "notes-base"
WORDS, SENTENCES = 4_000, 30_000
LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz"))
NEAR_COPY_EVERY = 100  # every hundredth instruction is a near copy of the one before it
SCORED = [name for name in BASE_LOSSES.row_schema if name not in ("response_id", "instruction_id", "sample")]
Scored: Any = make_dataclass("Scored", SCORED)  # stands for compute's ResponseLoss, without importing torch


class FakeScorer:
    """Replaces LossScorer: computes tokens and sums from the text and the base's name, at no cost."""

    facts: ClassVar[dict[str, int | float]] = {}

    def __init__(self, base: "Base") -> None:
        self.shift = zlib.crc32(base.name.encode()) / 2**32

    def stream(self, asked: "Sequence[Conversation]") -> Iterator[tuple[int, Any]]:
        """Each conversation's number and losses, in order."""
        for number, conversation in enumerate(asked):
            text = conversation.assistant[-1]
            tokens = max(1, len(text) // 4)
            each = 1 + self.shift + zlib.crc32(text.encode()) / 2**32
            sums = {name: each * tokens for name in SCORED if name.endswith("_sum")}
            yield number, Scored(**(dict.fromkeys(SCORED, tokens) | sums | {"error": None}))


def build(folder: Path, instructions: int, teachers: int, bases: int) -> None:
    """Write instructions, recordings, scores and study.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    asked(instructions).write_ndjson(folder / "instructions.jsonl")
    pl.DataFrame(schema={"question_id": pl.String, "model": pl.String, "score": pl.Float64}).write_csv(
        folder / "scores.csv"
    )
    write_study(folder, 0, bases)
    for _ in range(teachers):
        add_teacher(folder)


def add_teacher(folder: Path) -> str:
    """Add a teacher: write its recording, append its scores, and add it to study.yaml."""
    study = yaml.safe_load((folder / "study.yaml").read_text())
    number, questions = len(study["teachers"]), pl.read_ndjson(folder / "instructions.jsonl")
    name = f"teacher-{number:02}"
    generator = np.random.default_rng(number + 1)
    said = prose(generator, generator.integers(6, 28, questions.height))
    questions.select("instruction").with_columns(response=pl.Series(said)).write_ndjson(
        folder / f"{name}.jsonl"
    )
    scores = generator.normal(number / 20, 2, questions.height)
    rows = questions.select(question_id="id", model=pl.lit(name), score=pl.Series(scores))
    with (folder / "scores.csv").open("ab") as file:
        rows.write_csv(file, include_header=False)
    write_study(folder, number + 1, len(study["bases"]))
    return name


def write_study(folder: Path, teachers: int, bases: int) -> None:
    """Write study.yaml, as a user would."""
    names = [f"teacher-{number:02}" for number in range(teachers)]
    bases_named = [f"base-{number}" for number in range(bases)]
    document: dict[str, Any] = {
        "name": "paper",
        "instructions": {"sources": [{"name": "made", "path": "instructions.jsonl"}]},
        "teachers": [{"name": name, "engine": "recorded", "path": f"{name}.jsonl"} for name in names],
        "bases": [{"name": name, "model": str(BASE_MODEL), "prompt_format": "plain"} for name in bases_named],
        "reward_models": [{"name": "reward", "engine": "recorded", "path": "scores.csv"}],
        "car": {"reward_map": {"kind": "sigmoid"}},
        "recipes": [
            {"kind": "top_k", "name": "top_k", "column": "reward", "rows": 1000},
            {"kind": "random", "name": "random", "rows": 1000},
            {"kind": "best_teacher", "name": "best_teacher", "base": bases_named[0], "rows": 1000},
        ],
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


def asked(instructions: int) -> pl.DataFrame:
    """Instructions of about 200 characters; one in a hundred is a near copy."""
    texts = prose(np.random.default_rng(0), np.full(instructions, 3))
    for number in range(NEAR_COPY_EVERY - 1, instructions, NEAR_COPY_EVERY):
        texts[number] = f"{texts[number - 1]} Again."
    return pl.DataFrame({"id": [str(number) for number in range(instructions)], "instruction": texts})


def prose(generator: np.random.Generator, lengths: np.ndarray) -> list[str]:
    """Texts with these numbers of sentences, of about 65 characters each."""
    words = ["".join(generator.choice(LETTERS, size)) for size in generator.integers(2, 10, WORDS)]
    sizes = generator.integers(7, 14, SENTENCES)
    sentences = [f"{' '.join(some).capitalize()}." for some in drawn(generator, words, sizes)]
    return [" ".join(some) for some in drawn(generator, sentences, lengths)]


def drawn(generator: np.random.Generator, parts: list[str], lengths: np.ndarray) -> Iterator[list[str]]:
    """One list of parts per length, drawn with replacement."""
    for length in lengths.tolist():
        yield [parts[number] for number in generator.integers(0, len(parts), length).tolist()]
