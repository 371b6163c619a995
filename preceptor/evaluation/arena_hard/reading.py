"""Reads an Arena-Hard benchmark: each question with the answer of its category's baseline."""

from collections.abc import Iterable
from dataclasses import dataclass

from preceptor.evaluation.arena_hard import Version
from preceptor.evaluation.arena_hard.categories import OWN_BASELINE, authors_baseline, pooled
from preceptor.evaluation.arena_hard.formats import ModelAnswer, Question, read_answers, read_questions
from preceptor.evaluation.items import Item
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.study.evaluation import ArenaHard
from preceptor.study.fields import Records
from preceptor.text import digest


@dataclass(frozen=True)
class Arena:
    """The questions as items, with the baselines' answers. `baselines` has the models' names by category."""

    version: Version
    items: list[Item]
    baselines: dict[str, str]

    @property
    def pooled(self) -> bool:
        """Whether all questions are scored together."""
        return pooled(self.version, self.baselines)


def read_arena(evaluation: ArenaHard) -> Arena:
    """The questions as items, in the file's order, each with its category's baseline's answer.

    Raises BenchmarkError for a bad row, a question without its baseline's answer, a category without
    questions, v2.0's creative writing without its own baseline, and v0.1 with several baselines.
    """
    questions = read_questions(evaluation)
    _refuse_categories(evaluation, questions)
    by_file = {path: read_answers(Records(path=path)) for path in _files(evaluation)}
    items, baselines = [], {}
    for category in dict.fromkeys(question.category for question in questions):
        path = _answers_of(evaluation, category)
        answers = by_file[path]
        asked = [question for question in questions if question.category == category]
        _refuse_lacking(evaluation, path, asked, answers)
        baselines[category] = answers[asked[0].question_id].model
    for question in questions:
        answer = by_file[_answers_of(evaluation, question.category)][question.question_id]
        items.append(_item(question, answer))
    if len({item.item_id for item in items}) < len(items):
        raise BenchmarkError(
            f"evaluation {evaluation.name!r}: two questions of {evaluation.origin} have the same text: remove"
            " one of them"
        )
    return Arena(questions[0].version, items, baselines)


def _files(evaluation: ArenaHard) -> list[str]:
    return [evaluation.answers, *(category.answers for category in evaluation.categories.values())]


def _answers_of(evaluation: ArenaHard, category: str) -> str:
    own = evaluation.categories.get(category)
    return evaluation.answers if own is None else own.answers


def _refuse_categories(evaluation: ArenaHard, questions: Iterable[Question]) -> None:
    there = {question.category: question.version for question in questions}
    if evaluation.categories and "v0.1" in there.values():
        raise BenchmarkError(
            f"evaluation {evaluation.name!r}, categories: v0.1 has one baseline for all questions: remove"
            " 'categories'"
        )
    unknown = sorted(evaluation.categories.keys() - there.keys())
    if unknown and evaluation.limit is None:
        raise BenchmarkError(
            f"evaluation {evaluation.name!r}, categories.{unknown[0]}: no question of {evaluation.origin} has"
            f" this category: use one of {', '.join(sorted(there))}"
        )
    if there.get(OWN_BASELINE) == "v2.0" and OWN_BASELINE not in evaluation.categories:
        raise BenchmarkError(
            f"evaluation {evaluation.name!r}: in v2.0, {OWN_BASELINE} has its own baseline: set 'answers' and"
            f" 'reference' under categories.{OWN_BASELINE} (the authors use"
            f" {authors_baseline('v2.0', OWN_BASELINE)})"
        )


def _refuse_lacking(
    evaluation: ArenaHard, path: str, asked: list[Question], answers: dict[str, ModelAnswer]
) -> None:
    lacking = [question.question_id for question in asked if question.question_id not in answers]
    if lacking:
        raise BenchmarkError(
            f"evaluation {evaluation.name!r}: {path} lacks the baseline's answer to {len(lacking)} of"
            f" {len(asked)} questions, first {lacking[0]!r}: add them"
        )


def _item(question: Question, baseline: ModelAnswer) -> Item:
    return Item(
        digest("", *question.turns), None, question.turns, task=question.category, reference=baseline.turns
    )
