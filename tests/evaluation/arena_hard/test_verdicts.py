"""What a label is worth to both assistants, and as how many battles it counts."""

import pytest

from preceptor.evaluation.arena_hard.verdicts import SPELLINGS, outcome, weight

# From A's view, by show_result.py@005ac12 of lmarena/arena-hard-auto: written out, not computed.
AUTHORS_SCORES = {
    "A>B": [1],
    "A>>B": [1, 1, 1],
    "A=B": [0.5],
    "A<<B": [0, 0, 0],
    "A<B": [0],
    "B>A": [0],
    "B>>A": [0, 0, 0],
    "B=A": [0.5],
    "B<<A": [1, 1, 1],
    "B<A": [1],
}
LABELS = sorted(set(SPELLINGS.values()))


@pytest.mark.parametrize("spelling", AUTHORS_SCORES)
def test_every_spelling_has_the_authors_scores(spelling):
    label = SPELLINGS[spelling]
    assert label in ("A>>B", "A>B", "A=B", "B>A", "B>>A")
    assert [outcome(label, "A")] * weight(label) == AUTHORS_SCORES[spelling]
    assert [outcome(label, "B")] * weight(label) == [1 - score for score in AUTHORS_SCORES[spelling]]


@pytest.mark.parametrize("label", LABELS)
def test_outcomes_of_the_two_assistants_add_up_to_one(label):
    assert outcome(label, "A") + outcome(label, "B") == 1
    assert weight(label) == (3 if len(label) == 4 else 1)
