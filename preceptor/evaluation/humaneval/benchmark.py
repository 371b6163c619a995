"""HumanEval as a benchmark, kind `humaneval`: n programs for each problem, run in a sandbox, and pass@k."""

import os

import numpy as np
import polars as pl

from preceptor.evaluation.humaneval.isolation import MIB, Limits
from preceptor.evaluation.humaneval.passing import mean_pass_at_k, pass_at_k
from preceptor.evaluation.humaneval.problems import Problem, read_problems
from preceptor.evaluation.humaneval.program import STOPS, program
from preceptor.evaluation.humaneval.sandbox import Sandbox
from preceptor.evaluation.item_values import Floats, ItemValues, StoredRuns, by_run
from preceptor.evaluation.items import Item
from preceptor.evaluation.job import EvaluationJob, Metric, ScoredItems
from preceptor.evaluation.kind import Kind
from preceptor.evaluation.responses import Asked, answer_items, answers_fingerprint, sample_keys
from preceptor.evaluation.results import (
    AnswerRow,
    Decision,
    answered_row,
    complete_results,
    results_fingerprint,
)
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.lake.resume import Rows
from preceptor.records import records_identity
from preceptor.responses.rows import chunks
from preceptor.study.benchmarks import HumanEval
from preceptor.text import digest

VERSION = 1
BARE = "raw"  # the prompt format of a base model that continues the text
METHOD = (
    "1 - C(n - c, k) / C(n, k) of n samples, c of which pass, mean over problems (arXiv 2107.03374, eq. 1);"
    " interval: bootstrap over problems, percentiles expanded for few of them"
)


def check(evaluation: HumanEval) -> None:
    """Test the sandbox and read a local file. Raises SandboxError, BenchmarkError or RecordsError."""
    Sandbox(_limits(evaluation)).check()
    if evaluation.path is not None:
        _problems(evaluation)


def fingerprint_of(evaluation: HumanEval, checkpoint: str) -> str:
    """Changes with the programs, their number, the problems, and the limits of a program."""
    parts = {
        "scorer": VERSION,
        "answers": answers_fingerprint(checkpoint, _asked(evaluation)),
        "n": evaluation.sampling.n,
        "limits": evaluation.limits.model_dump(),
        **records_identity(evaluation),
    }
    return results_fingerprint(evaluation, checkpoint, parts)


def score_items(job: EvaluationJob[HumanEval]) -> ScoredItems:
    """Let the model write the programs, and run them. Raises SandboxError if the sandbox does not work."""
    evaluation = job.evaluation
    sandbox = Sandbox(_limits(evaluation))
    problems = _problems(evaluation)
    items = {item_id: _item(item_id, problem) for item_id, problem in problems.items()}
    answers = answer_items(job, list(items.values()), _asked(evaluation)).rows
    answered = {(row["item_id"], row["sample"]): row for row in answers.iter_rows(named=True)}

    def compute(missing: pl.DataFrame) -> Rows:
        sandbox.check()
        for chunk in chunks(missing, job.rows_at_once):
            keys = list(chunk.select("item_id", "sample").iter_rows())
            decisions = _run(sandbox, [(problems[key[0]], answered[key]) for key in keys])
            for key, decision in zip(keys, decisions, strict=True):
                yield answered_row(items[key[0]], answered[key], decision)

    made_of = fingerprint_of(evaluation, job.checkpoint.fingerprint)
    keys = sample_keys(list(items), evaluation.sampling.n)
    return ScoredItems(complete_results(job, made_of, keys, compute), expected=keys.height)


def metrics(job: EvaluationJob[HumanEval], scored: ScoredItems) -> list[Metric]:
    """pass@k at the study's k, and pass@1."""
    counts = _counts(scored.results.rows.drop_nulls("outcome"))
    found = []
    for k in dict.fromkeys((job.evaluation.k, 1)):
        enough = counts.filter(pl.col("n") >= k)
        fewer = counts.height - enough.height
        method = METHOD if not fewer else f"{METHOD}; {fewer} problems have fewer than {k} programs"
        samples = list(enough.select("n", "c").iter_rows())
        found.append(Metric(f"pass@{k}", mean_pass_at_k(samples, k), method, enough.height))
    return found


def values(runs: StoredRuns[HumanEval], _: str, category: str) -> ItemValues:
    """Each problem's pass@k. A problem with fewer than k programs has no value."""
    k = runs.evaluation.k

    def make(rows: pl.DataFrame) -> tuple[list[str], Floats]:
        enough = _counts(rows).filter(pl.col("n") >= k)
        found = [pass_at_k(n, c, k) for n, c in enough.select("n", "c").iter_rows()]
        return enough["item_id"].to_list(), np.array(found)

    return ItemValues(by_run(runs.outcomes(category), make), largest=1.0)


def _counts(rows: pl.DataFrame) -> pl.DataFrame:
    """For each problem, the numbers of programs that ran (n) and that passed (c)."""
    programs = rows.group_by("item_id", maintain_order=True)
    return programs.agg(n=pl.len(), c=pl.col("outcome").sum().cast(pl.Int64))


def _problems(evaluation: HumanEval) -> dict[str, Problem]:
    """The problems by the hash of their prompt, which must be unique."""
    problems = read_problems(evaluation)
    by_prompt = {digest("", problem.prompt): problem for problem in problems}
    if len(by_prompt) < len(problems):
        raise BenchmarkError(
            f"evaluation {evaluation.name!r}: two problems of {evaluation.origin} have the same prompt:"
            " remove one of them"
        )
    return by_prompt


def _run(sandbox: Sandbox, pairs: list[tuple[Problem, AnswerRow]]) -> list[Decision]:
    """The decision on each program. A missing answer is not a wrong program."""
    written = [n for n, (_, answer) in enumerate(pairs) if answer["error"] is None]
    programs = [program(pairs[n][0], "\n\n".join(pairs[n][1]["turns"])) for n in written]
    outcomes = sandbox.run_all(programs, workers=os.cpu_count() or 1)
    decisions = [Decision() for _ in pairs]
    for n, outcome in zip(written, outcomes, strict=True):
        decisions[n] = Decision(float(outcome.passed), why=outcome.why)
    return decisions


def _item(item_id: str, problem: Problem) -> Item:
    return Item(item_id, None, (problem.prompt,), answer=problem.canonical_solution)


def _asked(evaluation: HumanEval) -> Asked:
    """Without a chat format, generation ends at the paper's stop texts, because the rest would be cut."""
    if evaluation.chat_format:
        return Asked(evaluation.sampling)
    return Asked(evaluation.sampling.model_copy(update={"stop": STOPS}), BARE)


def _limits(evaluation: HumanEval) -> Limits:
    limits = evaluation.limits
    return Limits(
        limits.cpu_seconds,
        limits.wall_seconds,
        limits.memory_mib * MIB,
        limits.disk_mib * MIB,
        limits.open_files,
    )


KIND = Kind(check, fingerprint_of, score_items, metrics, values=values)
