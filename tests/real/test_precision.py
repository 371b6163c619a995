"""bfloat16 against float32 on 18 real teachers' answers and real weights: which teacher is lower in loss."""

import gzip
import json

import numpy as np
import pytest
from scipy.stats import spearmanr

from preceptor.compute.conversation import Conversation
from preceptor.compute.loss import LossScorer
from tests.conftest import REAL_DATA

ARENA = REAL_DATA / "arena_bench"
pytestmark = pytest.mark.skipif(not ARENA.exists(), reason=f"no recordings at {ARENA}")
QUESTIONS = 12


def lines(file) -> list[dict]:
    with gzip.open(file, "rt", encoding="utf-8", newline="\n") as text:
        return [json.loads(line) for line in text.read().split("\n") if line]


def mean_losses(rows, dtype: str) -> np.ndarray:
    """(teachers, questions): mean NLL of each response."""
    model = REAL_DATA.parent / "models" / "stories260k"
    scorer = LossScorer(str(model), dtype=dtype, prompt_format="plain", unconditional=False)
    losses = scorer.score([row for teacher in rows for row in teacher])
    return np.array([loss.nll_sum / loss.tokens for loss in losses]).reshape(len(rows), QUESTIONS)


@pytest.mark.slow
def test_bfloat16_moves_losses_little_and_keeps_the_teachers_order():
    questions = {q["question_id"]: q["turns"][0] for q in lines(ARENA / "questions.jsonl.gz")}
    chosen = list(questions)[:QUESTIONS]
    rows = []
    for file in sorted((ARENA / "answers").glob("*.jsonl.gz")):
        said = {a["question_id"]: a["choices"][0]["turns"][0] for a in lines(file)}
        texts = [said[id] if isinstance(said[id], str) else said[id]["content"] for id in chosen]
        pairs = zip(chosen, texts, strict=True)
        rows.append([Conversation(None, (questions[id],), (text or "-",)) for id, text in pairs])
    exact, rounded = mean_losses(rows, "float32"), mean_losses(rows, "bfloat16")
    moved = np.abs(exact - rounded)
    order = spearmanr(exact.mean(1), rounded.mean(1)).statistic
    assert moved.max() < 0.06
    assert order > 0.99
