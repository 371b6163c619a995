"""A small valid study as text, mistakes put into it, and what load_study says about them."""

import re
import signal
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from preceptor.study.load import StudyError, load_study

VALID = """\
name: small
instructions:
  sources:
    - {name: questions, path: questions.jsonl}
teachers:
  - name: graded
    engine: recorded
    path: answers.jsonl
  - name: sampled
    engine: transformers
    model: organisation/teacher
    sampling: {temperature: 0.7, n: 4}
  - {name: spare, engine: recorded, dataset: organisation/answers}
bases:
  - {name: base-a, model: ./model}
  - {name: base-b, model: organisation/base}
reward_models:
  - {name: grades, engine: recorded, path: scores.csv, teachers: {graded: someone}}
  - {name: judge, engine: sequence_classification, model: organisation/reward}
car: {reward_model: grades, beta: 3}
recipes:
  - {kind: best_teacher, name: best, base: base-a}
  - {kind: random, name: drawn, rows: 10, teachers: [graded, spare]}
  - {kind: top_k, name: likely, column: mean_nll, order: lowest, rows: 5, base: base-b}
  - {kind: best_of_n, name: picked, teacher: sampled}
tunings:
  - {name: full, epochs: 2, learning_rate: 1.0e-4}
runs:
  - {name: first, base: base-a, recipe: best, tuning: full}
evaluations:
  - {name: alpaca, kind: checkers, dataset: organisation/benchmark}
"""


class Line(NamedTuple):
    number: int
    path: str
    message: str


class Hung(BaseException):
    """Not an Exception: nothing that is tested may catch it."""


@contextmanager
def within(seconds):
    """A load that hangs fails its own test and lets the others run."""

    def stop(*_):
        raise Hung(f"still busy after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def replaced(*pairs, text=VALID):
    """The valid study with each `old` that stands in it once replaced by its `new`."""
    for old, new in pairs:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the study"
        text = text.replace(old, new)
    return text


def write(folder, content):
    """The study's file, in a folder that holds whatever the valid study refers to."""
    (folder / "model").mkdir(parents=True, exist_ok=True)
    (folder / "model" / "config.json").write_text("{}")
    (folder / "no-model").mkdir(exist_ok=True)
    for name in ("questions.jsonl", "answers.jsonl", "scores.csv"):
        (folder / name).touch()
    file = folder / "small.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def load(folder, content, **environment):
    return load_study(write(folder, content), environment)


def refusal(folder, content, **environment):
    """The text of the StudyError that a file must raise, soon and with its name in it."""
    file = write(folder, content)
    with within(300), pytest.raises(StudyError) as caught:
        load_study(file, environment)
    assert str(file) in str(caught.value)
    return str(caught.value)


def problems(folder, content, **environment):
    """The lines `file:line: path: message` under the headline, each once."""
    file = folder / "small.yaml"
    head, *lines = refusal(folder, content, **environment).splitlines()
    assert head == f"{file} has {len(lines)} problem{'s' if len(lines) > 1 else ''}:"
    found = [re.fullmatch(rf"  {re.escape(str(file))}:(\d+): (.+?): (.+)", line) for line in lines]
    assert all(found), lines
    assert len(set(lines)) == len(lines)
    return [Line(int(match[1]), match[2], match[3]) for match in found]
