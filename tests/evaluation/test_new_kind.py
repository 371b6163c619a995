"""A kind of evaluation is a schema class and an entry in KINDS. A new kind works everywhere."""

from typing import Annotated, ClassVar, Literal

import polars as pl
import pytest
from pydantic import Field

from preceptor.evaluation.estimates import item_mean
from preceptor.evaluation.evaluate import evaluate, evaluation_fingerprints
from preceptor.evaluation.items import Item
from preceptor.evaluation.job import Metric, ScoredItems
from preceptor.evaluation.kind import Kind
from preceptor.evaluation.kinds import KINDS
from preceptor.evaluation.responses import Asked, answer_items, sample_keys
from preceptor.evaluation.results import Decision, answered_row, complete_results, results_fingerprint
from preceptor.lake.schemas import EVAL_RESULTS, EVAL_SCORES
from preceptor.records import read_records, records_identity
from preceptor.report.page import build_report
from preceptor.study import load
from preceptor.study.evaluation import EVALUATIONS, AnyEvaluation
from preceptor.study.evaluation_facts import EvaluationFacts
from preceptor.study.fields import Name, Records, Sampling
from preceptor.study.load import StudyError
from preceptor.study.schema import Study
from preceptor.text import digest
from tests.evaluation.benchmarks import NOTHING_LOADED, Student, engines, job, write_lines
from tests.report.lakes import BASES, FACTS, compare_runs, empty_warehouse, put, small_study
from tests.report.test_page import Reader
from tests.study.test_evaluations import GOOD, study

RUNS = ("notes-a", "notes-b")


class WordCount(EvaluationFacts, Records):
    """Words per answer. Fewer are better, and the metric is not a share."""

    metric: ClassVar[str] = "words"
    higher_is_better: ClassVar[bool] = False
    is_share: ClassVar[bool] = False
    name: Name
    kind: Literal["word_count"]
    sampling: Sampling = Sampling()


class LargerStudy(Study):
    evaluations: tuple[Annotated[AnyEvaluation | WordCount, Field(discriminator="kind")], ...] = ()


def fingerprint_of(evaluation, checkpoint):
    return results_fingerprint(evaluation, checkpoint, records_identity(evaluation))


def score_items(job):
    asked = [row["instruction"] for _, row in read_records(job.evaluation)]
    items = {digest(text): Item(digest(text), None, (text,)) for text in asked}
    answers = answer_items(job, list(items.values()), Asked(job.evaluation.sampling)).rows

    def compute(_):
        for answer in answers.iter_rows(named=True):
            words = float(len(answer["turns"][0].split()))
            yield answered_row(items[answer["item_id"]], answer, Decision(words))

    made_of = fingerprint_of(job.evaluation, job.checkpoint.fingerprint)
    return ScoredItems(complete_results(job, made_of, sample_keys(list(items), 1), compute), len(items))


def metrics(_, scored):
    found, count = item_mean(scored.results.rows)
    return [Metric("words", found, "mean words per answer", count, unit="words")]


@pytest.fixture
def declared(monkeypatch, tmp_path):
    """The new evaluation, read from a study file."""
    monkeypatch.setattr(load, "Study", LargerStudy)
    monkeypatch.setitem(EVALUATIONS, "word_count", WordCount)
    monkeypatch.setitem(KINDS, "word_count", Kind(lambda _: None, fingerprint_of, score_items, metrics))
    (evaluation,) = study(tmp_path, "name: brevity, kind: word_count, path: d.json").evaluations
    write_lines(tmp_path / "d.jsonl", [{"instruction": f"say {n}"} for n in range(12)])
    return evaluation.model_copy(update={"path": str(tmp_path / "d.jsonl")})


def score_runs(lake, evaluation):
    """The second run's answers have two words more than the first run's."""
    for run, more in zip(RUNS, (0, 2), strict=True):
        student = Student(lambda asked, more=more: "word " * (3 + more + int(asked.split()[1]) % 3))
        evaluate(job(lake, evaluation, engines(student), run, run))


def test_it_is_scored_once_and_has_its_fingerprints(lake, declared):
    score_runs(lake, declared)
    again = evaluate(job(lake, declared, NOTHING_LOADED, RUNS[0], RUNS[0]))
    assert (again.items.computed, again.scores.computed) == (0, 0)
    stored = lake.read(EVAL_SCORES, {"run": RUNS[1], "benchmark": "brevity"}).row(0, named=True)
    assert (stored["metric"], stored["value"], stored["n"]) == ("words", 6.0, 12)
    assert stored["fingerprint"] == evaluation_fingerprints(declared, RUNS[1])[1]


def test_it_is_in_differences_and_in_the_report_with_its_unit_and_direction(lake, declared, tmp_path):
    score_runs(lake, declared)
    small = dict(small_study(("a", "b"), (BASES[0],)))
    asked = LargerStudy.model_construct(**{**small, "evaluations": (declared,)})
    warehouse = empty_warehouse(tmp_path)
    for table in (EVAL_RESULTS, EVAL_SCORES):
        put(warehouse, table, lake.read(table).select(list(table.schema)).to_dicts())
    (row,) = compare_runs(warehouse, asked).to_dicts()
    assert (row["benchmark"], row["metric"], row["difference"], row["n"]) == ("brevity", "words", -2.0, 12)
    text = Reader(build_report(asked, warehouse, FACTS)).text
    scores = text.split("brevity: words, words")[1]
    assert scores.index("notes-a") < scores.index("notes-b")  # fewer words are better
    assert "Method: mean words per answer." in scores


def test_an_average_refuses_it_because_it_is_not_a_share(declared, tmp_path):
    both = ("name: brevity, kind: word_count, path: d.json", f"name: arena, {GOOD['arena']}")
    with pytest.raises(StudyError, match=r"'brevity' \(word_count\) is not a share"):
        study(tmp_path, *both, averages="{name: AP, of: [brevity, arena]}")


def test_the_union_and_the_registry_have_the_same_kinds():
    assert EVALUATIONS.keys() == KINDS.keys()
    assert pl.Series(list(EVALUATIONS)).is_unique().all()
