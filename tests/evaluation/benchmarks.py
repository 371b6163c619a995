"""Small benchmark files and engines that count what is asked of them."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from preceptor.compute.request import Generation
from preceptor.compute.reward import Reward
from preceptor.evaluation.evaluate import Engines
from preceptor.evaluation.responses import Checkpoint
from preceptor.study.evaluation import Checkers, Judge, Pairwise
from tests.conftest import CHATML, save_classifier


def write_lines(path: Path, rows: list[dict]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def sums(count: int) -> list[dict]:
    return [
        {"instruction": f"{n} + 1?", "answer": n + 1, "check": "number", "kind": "add"} for n in range(count)
    ]


def duels(count: int) -> list[dict]:
    return [{"instruction": f"say {n}", "output": "word " * (n + 1), "generator": "r"} for n in range(count)]


def checkers(tmp_path: Path, rows: list[dict], name: str = "sums", **settings) -> Checkers:
    path = write_lines(tmp_path / f"{name}.jsonl", rows)
    return Checkers(name=name, kind="checkers", path=path, **settings)


def pairwise(tmp_path: Path, rows: list[dict], model: str, name: str = "duels", **settings) -> Pairwise:
    path = write_lines(tmp_path / f"{name}.jsonl", rows)
    judge = Judge(name="judge", model=model)
    return Pairwise(name=name, kind="pairwise", path=path, reference="r", judge=judge, **settings)


def judge_folder(folder: Path, **settings) -> str:
    return save_classifier(folder, template=CHATML, **settings)


@dataclass
class Student:
    """Answers by a function of the instruction; counts the times it is loaded and the items asked."""

    say: object
    fails: object = lambda instruction: None
    loaded: list[str] = field(default_factory=list)
    asked: list = field(default_factory=list)

    def load(self, folder, sampling):
        self.loaded.append(folder)
        return self

    def generate(self, requests):
        self.asked += requests
        return [self._answer(request.user[0]) for request in requests]

    def _answer(self, instruction):
        if error := self.fails(instruction):
            return Generation(error=error)
        return Generation((self.say(instruction),), "stop", 3, 4)


@dataclass
class Grader:
    """A judge that scores by a function of the response; None is a score that it cannot give."""

    grade: object
    loaded: int = 0

    def load(self, judge):
        self.loaded += 1
        return self

    def score(self, conversations):
        grades = [self.grade(conversation.assistant[0]) for conversation in conversations]
        return [Reward(grade, "too long" if grade is None else None) for grade in grades]


def engines(student: Student, grader: Grader | None = None) -> Engines:
    return Engines(student.load, grader.load if grader else forbidden)


def forbidden(*arguments):
    raise AssertionError("loaded although nothing has to be computed")


def checkpoint(name: str = "checkpoint") -> Checkpoint:
    return Checkpoint(name, lambda: f"/models/{name}")
