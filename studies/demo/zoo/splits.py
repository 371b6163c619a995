"""Which instructions make the models, which tune the students, and which examine them: never two of these.

The split is a property of the instruction's text alone, so no list has to be kept to hold it.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from preceptor.text import digest, folded
from studies.demo.zoo.tasks import Task, draw_task

Split = Literal["making", "tuning", "evaluation"]


def split_of(instruction: str) -> Split:
    """70 % of all instructions make the models, 15 % tune and 15 % evaluate."""
    place = int(digest("miniature", folded(instruction)), 16) % 100
    return "making" if place < 70 else "tuning" if place < 85 else "evaluation"


def tasks(split: Split, seed: int) -> Iterator[Task]:
    """An endless stream of a split's tasks; they may repeat."""
    draw = random.Random(f"{split} {seed}")
    while True:
        task = draw_task(draw)
        if split_of(task.instruction) == split:
            yield task


def distinct_tasks(split: Split, seed: int, count: int) -> list[Task]:
    """The first tasks of the stream whose instructions differ from one another."""
    found: dict[str, Task] = {}
    for task in tasks(split, seed):
        found.setdefault(task.instruction, task)
        if len(found) == count:
            break
    return list(found.values())


def write_tasks(path: Path, items: list[Task]) -> None:
    """One JSON object a line: what a study's instruction source and a `checkers` benchmark read."""
    rows = [
        {"instruction": t.instruction, "answer": t.right, "check": t.check, "task": t.kind} for t in items
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
