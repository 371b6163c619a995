"""Near-duplicates against a brute force over all pairs."""

import random

import pytest

from preceptor.instructions import near_duplicates as module
from preceptor.instructions.near_duplicates import comparable, near_duplicates

WORDS = (
    "name list write explain sum three rivers of europe a poem about rain sort these numbers story".split()
)


def brute_force(texts: list[str], threshold: float) -> dict[int, tuple[int, float]]:
    sets = [{t[i : i + 5] for i in range(max(1, len(t) - 4))} for t in texts]
    kept, dropped = [], {}
    for number, mine in enumerate(sets):
        near = [(len(mine & sets[k]) / len(mine | sets[k]), -k) for k in kept]
        best = max(near, default=(0.0, 0))
        if best[0] >= threshold:
            dropped[number] = (-best[1], best[0])
        else:
            kept.append(number)
    return dropped


@pytest.mark.parametrize("threshold", [0.7, 0.8, 0.9])
def test_the_rows_dropped_are_those_of_a_brute_force(threshold, monkeypatch):
    monkeypatch.setattr(module, "TEXTS_AT_ONCE", 50)
    monkeypatch.setattr(module, "SETS_KEPT", 3)
    draw = random.Random(0)
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(2, 30))) for _ in range(300)]
    for text in draw.sample(texts, 120):
        words = text.split()
        words[draw.randrange(len(words))] = draw.choice(WORDS)
        texts.append(" ".join(words))
    found = near_duplicates(texts, threshold)
    expected = brute_force(texts, threshold)
    assert len(expected) > 10
    assert {n: (d.of, d.similarity) for n, d in found.items()} == expected


def test_the_earlier_text_stays_and_short_texts_are_compared_too():
    texts = [
        comparable(t)
        for t in ["Hi!", "hi!", "Hi?", "Summarise this text, please", "Summarise this text please"]
    ]
    found = near_duplicates(texts, 0.6)
    assert {number: duplicate.of for number, duplicate in found.items()} == {1: 0, 4: 3}


def test_no_texts_and_empty_ones():
    assert near_duplicates([], 0.9) == {}
    assert set(near_duplicates(["", ""], 0.9)) == {1}
