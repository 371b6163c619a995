"""Small benchmark files, and engines that record their requests."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from preceptor.compute.loss import LossScorer
from preceptor.compute.request import Generation
from preceptor.compute.reward import Reward
from preceptor.evaluation.job import Checkpoint, Engines, EvaluationJob
from preceptor.judging.judge import Answer
from preceptor.study.evaluation import Checkers, Pairwise
from preceptor.study.judges import ClassifierJudge
from preceptor.study.schema import Base
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


def classifier(model: str, name: str = "judge") -> ClassifierJudge:
    return ClassifierJudge(name=name, engine="sequence_classification", model=model)


def pairwise(tmp_path: Path, rows: list[dict], model: str, name: str = "duels", **settings) -> Pairwise:
    settings = {"judge": classifier(model), **settings}
    path = write_lines(tmp_path / f"{name}.jsonl", rows)
    return Pairwise(name=name, kind="pairwise", path=path, reference="r", **settings)


def judge_folder(folder: Path, **settings) -> str:
    return save_classifier(folder, template=CHATML, **settings)


@dataclass
class Student:
    """Answers with a function of the instruction; records each load and each request."""

    say: Callable[[str], str]
    fails: Callable[[str], str | None] = lambda instruction: None
    loaded: list[str] = field(default_factory=list)
    asked: list = field(default_factory=list)
    closed: int = 0
    facts: dict = field(default_factory=dict)

    def load(self, folder, sampling, prompt_format):
        self.loaded.append(folder)
        return self

    def stream(self, requests):
        self.asked += requests
        yield from ((n, self._answer(request.user[0])) for n, request in enumerate(requests))

    def close(self):
        self.closed += 1

    def _answer(self, instruction):
        if error := self.fails(instruction):
            return Generation(error=error)
        return Generation((self.say(instruction),), "stop", 3, 4)


@dataclass
class Grader:
    """A judge that scores with a function of the response; None is a failed score."""

    grade: Callable[[str], float | None]
    loaded: int = 0

    def load(self, judge):
        self.loaded += 1
        return self

    def score(self, conversations):
        grades = [self.grade(conversation.assistant[0]) for conversation in conversations]
        return [Reward(grade, "too long" if grade is None else None) for grade in grades]


@dataclass
class Asked:
    """A judge that answers questions: `say` maps a question and its number to an Answer."""

    say: Callable[[object, int], Answer]
    questions: list = field(default_factory=list)
    facts: dict = field(default_factory=dict)
    loaded: int = 0

    def load(self, judge):
        self.loaded += 1
        return self

    def stream(self, questions):
        for number, question in enumerate(questions):
            self.questions.append(question)
            yield number, self.say(question, len(self.questions) - 1)


def forbidden(*arguments):
    raise AssertionError("loaded although nothing has to be computed")


NOTHING_LOADED = Engines(forbidden, forbidden, forbidden, forbidden, forbidden)


def engines(student: Student, grader: Grader | None = None, asked: Asked | None = None) -> Engines:
    return Engines(
        student.load,
        grader.load if grader else forbidden,
        asked.load if asked else forbidden,
        _scorer,
        lambda: None,
        "cpu",
    )


def _scorer(base: Base, folder: str | None) -> LossScorer:
    return LossScorer(
        folder or base.model, prompt_format=base.prompt_format, unconditional=False, device="cpu"
    )


def checkpoint(made: str = "checkpoint", base: str = "unused", folder: str | None = None) -> Checkpoint:
    model = Base.model_construct(name="base", model=base, prompt_format="plain")
    return Checkpoint(made, model, lambda: folder or f"/models/{made}")


def job(lake, evaluation, using, name="run", made="checkpoint", rows=4, **settings) -> EvaluationJob:
    return EvaluationJob(lake, name, evaluation, checkpoint(made), using, rows, **settings)
