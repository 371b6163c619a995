"""Rows of `judgments`: every question to a judge with its answer and verdict. Each is asked once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from preceptor.evaluation.job import Declared, EvaluationJob
from preceptor.evaluation.judging.annotator import Annotator
from preceptor.evaluation.judging.ask import Case, Shown, orders, question
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.fingerprint import fingerprint
from preceptor.judging.judge import Answer
from preceptor.judging.prompt_file import PromptFile, read_prompt
from preceptor.judging.question import Question, prompt_hash
from preceptor.lake.resume import Outcome, Rows, Work, complete
from preceptor.lake.schemas import JUDGMENTS
from preceptor.study.judges import AnnotatorJudge, PromptedJudge
from preceptor.text import repair

VERSION = 1
KEY = {"item_id": pl.String, "sample": pl.Int32, "shown": pl.String, "draw": pl.Int32}
SAME = Answer(verdict="the same text: not asked", outcome=0.5)


@dataclass(frozen=True)
class Protocol:
    """How a judge is asked about cases (orders, draws, questions), and its identity."""

    judge: AnnotatorJudge | PromptedJudge
    orders: Callable[[Case], tuple[Shown, ...]]
    draws: int
    question: Callable[[Case, Shown, int], Question]
    identity: dict[str, Any]
    words: str  # the prompt, for people

    def __str__(self) -> str:
        """The judge's identity in one line, which is stored with every score."""
        return f"{self.judge.name} ({self.judge.model_name}; {self.words})"


def protocol_of(judge: AnnotatorJudge | PromptedJudge, prompt: str) -> Protocol:
    """The protocol of a judge; `prompt` names the built-in prompt.

    Raises PromptError for an unusable file, and BenchmarkError for a prompt of another kind.
    """
    if isinstance(judge, AnnotatorJudge):
        return _annotating(judge)
    wanted, found = read_prompt(None, prompt).kind, read_prompt(judge.prompt, prompt)
    if found.kind != wanted:
        raise BenchmarkError(
            f"judge {judge.name!r}: prompt file {judge.prompt} has kind {found.kind!r}, but this evaluation"
            f" needs kind {wanted!r}: use another file"
        )
    return _prompted(judge, found)


def _annotating(judge: AnnotatorJudge) -> Protocol:
    annotator = Annotator(judge)
    identity = annotator.identity
    return Protocol(
        judge,
        lambda case: annotator.orders("\n\n".join(case.item.user)),
        1,
        lambda case, shown, _: annotator.question(case, shown),
        {"engine": judge.engine, **judge.served, **identity},
        f"{Path(judge.annotator).name} of alpaca-eval {identity['alpaca_eval']}; order {judge.order}",
    )


def _prompted(judge: PromptedJudge, prompt: PromptFile) -> Protocol:
    asked = judge.model_dump(include={"order", "temperature", "n", "max_tokens", "seed"})
    return Protocol(
        judge,
        lambda case: orders(judge, case.item.item_id, prompt.kind),
        judge.n,
        lambda case, shown, draw: question(prompt, judge, case, shown, draw),
        {"engine": judge.engine, **judge.served, "prompt": prompt.identity, **asked},
        f"prompt {prompt.name} v{prompt.version} {prompt.hash}; order {judge.order};"
        f" temperature {judge.temperature:g}; n {judge.n}",
    )


def judgments_fingerprint(protocol: Protocol, answers: str, items: dict[str, Any]) -> str:
    """Changes with the answers, the benchmark's file, and the judge's identity."""
    return fingerprint("judgments", VERSION, answers=answers, judge=protocol.identity, items=items)


def judge_cases(
    job: EvaluationJob[Declared], protocol: Protocol, cases: Sequence[Case], made_of: str
) -> Outcome:
    """Complete a partition of `judgments`: a verdict or an error for every case, order and draw.

    The judge is asked only for missing rows. Raises EndpointError if its endpoint answers no request.
    """
    known = {(case.item.item_id, case.sample): case for case in cases}
    facts: dict[str, int | float] = {}

    def compute(missing: pl.DataFrame) -> Rows:
        judge = job.engines.asked(protocol.judge)
        rows = _Missing(protocol, known, list(missing.iter_rows(named=True)))
        yield from rows.of_same_texts()
        yield from rows.answered(judge.stream(rows.questions))
        facts.update(judge.facts)

    work = Work(
        JUDGMENTS,
        job.partition,
        made_of,
        tuple(KEY),
        _wanted(protocol, cases),
        job.retry_failed,
    )
    outcome = complete(job.lake, work, compute)
    return replace(outcome, facts=outcome.facts | facts)


def _wanted(protocol: Protocol, cases: Sequence[Case]) -> pl.DataFrame:
    keys = [
        (case.item.item_id, case.sample, shown, draw)
        for case in cases
        for shown in protocol.orders(case)
        for draw in range(protocol.draws)
    ]
    return pl.DataFrame(keys, schema=KEY, orient="row")


class _Missing:
    """The missing rows: those that need no judge, and the questions of the others."""

    def __init__(
        self, protocol: Protocol, cases: dict[tuple[str, int], Case], keys: list[dict[str, Any]]
    ) -> None:
        self.judge = protocol.judge.model_name
        questions = {
            n: protocol.question(cases[key["item_id"], key["sample"]], key["shown"], key["draw"])
            for n, key in enumerate(keys)
        }
        hashes = [prompt_hash(questions[n].body) for n in range(len(keys))]
        self.keys = [{**key, "prompt_hash": hashes[n]} for n, key in enumerate(keys)]
        same = {n for n, key in enumerate(keys) if _same(cases[key["item_id"], key["sample"]])}
        self.same = sorted(same)
        self.asked = [n for n in range(len(keys)) if n not in same]
        self.questions = [questions[n] for n in self.asked]

    def of_same_texts(self) -> Iterator[dict[str, Any]]:
        """A tie for each row whose response equals the reference, without asking the judge."""
        return (self._row(number, SAME) for number in self.same)

    def answered(self, stream: Iterator[tuple[int, Answer]]) -> Iterator[dict[str, Any]]:
        """The rows of the judge's answers, as they finish."""
        return (self._row(self.asked[number], answer) for number, answer in stream)

    def _row(self, number: int, answer: Answer) -> dict[str, Any]:
        return {**self.keys[number], "judge": self.judge, **_columns(answer)}


def _columns(answer: Answer) -> dict[str, Any]:
    return {**vars(answer), "raw": None if answer.raw is None else repair(answer.raw)}


def _same(case: Case) -> bool:
    return case.turns == case.item.reference
