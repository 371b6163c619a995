"""The miniature's tasks: right answers by an independent reading of the instruction, disjoint splits."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.evaluation.checkers import CHECKS
from studies.demo.zoo.splits import distinct_tasks, split_of
from studies.demo.zoo.tasks import KINDS, draw_task
from studies.demo.zoo.texts import SEPARATORS, STYLES, answer, prose
from studies.demo.zoo.words import CATEGORIES, OPPOSITES, ORDINALS, REASONS

seeds = st.integers(0, 2**32)


def solve(instruction: str) -> str:
    """The answer, worked out again from the instruction's words alone."""
    head, _, tail = instruction.partition(": ")
    words, numbers = tail.split(), [int(n) for n in re.findall(r"\d+", instruction)]
    if head.startswith("Repeat"):
        return tail
    if head.startswith("Reverse"):
        return " ".join(words[::-1])
    if head.startswith("Sort"):
        return " ".join(sorted(words, key=str.lower))
    if head.startswith("How many"):
        return str(tail.count(" ") + 1)
    if head.startswith("What is the"):
        return words[ORDINALS.index(head.split()[3])]
    if head.startswith("Leave out"):
        return re.sub(rf"\b{head.split()[2]}\b ?", "", tail).strip()
    if head.startswith("Give the first"):
        return re.sub(r"\B\w", "", tail)
    if head.startswith("Give the opposites"):
        both = {**dict(OPPOSITES), **{b: a for a, b in OPPOSITES}}
        return " ".join(both[word] for word in words)
    if "kind of" in head:
        return next(word for word in words if word in CATEGORIES[head.split()[-1]])
    if "plus" in head:
        return str(sum(numbers))
    if "larger" in head:
        return str(max(numbers))
    if "comes next" in head:
        return str(2 * numbers[-1] - numbers[-2])
    thing = next(thing for thing in REASONS if f" the {thing} " in instruction)
    return REASONS[thing][1]


@given(seeds)
def test_the_answer_is_what_the_instruction_asks_for(seed):
    task = draw_task(random.Random(seed))
    assert task.right == solve(task.instruction)


@given(seeds)
def test_every_style_of_a_right_answer_passes_its_check(seed):
    task = draw_task(random.Random(seed))
    for style in STYLES:
        assert CHECKS[task.check](answer(task, style), task.right), (style, answer(task, style))


@given(seeds, seeds)
def test_the_answer_to_another_task_of_its_kind_fails(first, second):
    kind = KINDS[first % len(KINDS)]
    task, other = kind(random.Random(first)), kind(random.Random(second))
    if task.right != other.right:
        for style in STYLES:
            assert not CHECKS[task.check](answer(other, style), task.right)


@given(seeds)
def test_plain_text_holds_the_answer_and_no_chat(seed):
    """It may report what somebody asked, but never as the prompt and response that tuning writes."""
    task = draw_task(random.Random(seed))
    for register in ("notes", "diary"):
        for reported in (False, True):
            for separator in SEPARATORS:
                text = prose(task, register, reported, separator).text
                assert task.answer in text
                assert (task.instruction in text) == reported
                assert "\n\n" not in text and "answer is" not in text


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__.strip("_"))
def test_every_kind_has_a_large_instruction_space(kind):
    draw = random.Random(0)
    assert len({kind(draw).instruction for _ in range(3000)}) > 900


def test_splits_share_no_instruction_and_hold_their_shares():
    drawn = {split: distinct_tasks(split, 7, 500) for split in ("making", "tuning", "evaluation")}
    texts = {split: {task.instruction for task in items} for split, items in drawn.items()}
    assert not texts["making"] & texts["tuning"]
    assert not texts["making"] & texts["evaluation"]
    assert not texts["tuning"] & texts["evaluation"]
    assert {task.kind for task in drawn["tuning"]} == {kind.__name__.strip("_") for kind in KINDS}
    draw = random.Random(1)
    found = [split_of(draw_task(draw).instruction) for _ in range(4000)]
    assert abs(found.count("making") / 4000 - 0.70) < 0.03
    assert abs(found.count("tuning") / 4000 - 0.15) < 0.03


def test_case_and_blanks_do_not_move_an_instruction_to_another_split():
    for task in distinct_tasks("evaluation", 3, 50):
        assert split_of(f"  {task.instruction.upper()} ") == "evaluation"
