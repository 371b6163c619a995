"""Arena-Hard as a benchmark, kind `arena_hard`: two games an answer, in swapped order."""

import re
from typing import Any

import polars as pl

from preceptor.evaluation.arena_hard.fit import style_controlled_win_rates, win_rates
from preceptor.evaluation.arena_hard.formats import Answer, Question, read_answers, read_questions
from preceptor.evaluation.arena_hard.games import STYLE_COLUMNS
from preceptor.evaluation.arena_hard.style import FEATURES, style_of
from preceptor.evaluation.arena_hard.verdicts import SPELLINGS, outcome, weight
from preceptor.evaluation.estimates import NOTHING, Estimate
from preceptor.evaluation.examination import Examination, Examined, Metric
from preceptor.evaluation.items import Item
from preceptor.evaluation.judging.benchmark import Judged
from preceptor.evaluation.judging.judge import Protocol, protocol_of
from preceptor.evaluation.judging.prompt_file import read_prompt
from preceptor.evaluation.judging.reliability import reliability
from preceptor.evaluation.results import TURN_BREAK
from preceptor.evaluation.scores import Named
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.fingerprint import file_identity
from preceptor.records import records_identity
from preceptor.study.evaluation import ArenaHard
from preceptor.study.fields import Records
from preceptor.text import digest

PROMPT = "arena_hard"
WORDS = re.compile(r"\w+|[^\w\s]")  # the authors count tokens by an encoding that has to be downloaded
BATTLES = "a game won by far counts as three battles; 95 % by 1,000 resamples of whole questions"
PLAIN = f"Bradley-Terry win rate against the baseline, a tie is half; {BATTLES}"
STYLE = (
    f"Bradley-Terry win rate with the {{version}} authors' style features (length in words and punctuation"
    f" marks, headers, lists, bold), fitted to this run's games alone; {BATTLES}"
)


def read_arena(evaluation: ArenaHard) -> tuple[list[Question], list[Item]]:
    """The questions, and beside each the item that a model answers, with the baseline's answer.

    Raises BenchmarkError for a bad row and for a question that the baseline did not answer.
    """
    questions = read_questions(evaluation)
    answers = read_answers(Records(path=evaluation.answers))
    lacking = [question.question_id for question in questions if question.question_id not in answers]
    if lacking:
        raise BenchmarkError(
            f"evaluation {evaluation.name!r}: {evaluation.answers} lacks the baseline's answer to"
            f" {len(lacking)} of {len(questions)} questions, first {lacking[0]!r}: complete it"
        )
    items = [_item(question, answers[question.question_id]) for question in questions]
    if len({item.item_id for item in items}) < len(items):
        raise BenchmarkError(
            f"evaluation {evaluation.name!r}: two questions of {evaluation.origin} have the same text: leave"
            " one of them out"
        )
    return questions, items


def check(evaluation: ArenaHard) -> None:
    """Read questions, the baseline's answers and the judge's words. Raises BenchmarkError or RecordsError."""
    protocol(evaluation)
    if evaluation.path is not None:
        read_arena(evaluation)


def fingerprint_of(evaluation: ArenaHard, checkpoint: str) -> str:
    """Changes with the answers, the questions, the baseline's answers and the judge."""
    return _judged(evaluation).fingerprint(checkpoint)


def protocol(evaluation: ArenaHard) -> Protocol:
    """How the judge is asked. Raises BenchmarkError for a prompt file with other verdicts than the five."""
    prompt = read_prompt(evaluation.judge.prompt, PROMPT)
    for label, worth in prompt.labels.items():
        if label not in SPELLINGS or outcome(SPELLINGS[label], "A") != worth:
            raise BenchmarkError(
                f"prompt file {prompt.name!r}: label {label!r} worth {worth:g} is none of Arena-Hard's"
                f" ({', '.join(SPELLINGS)}; 1 where A wins, 0.5 for a tie, 0 where B wins)"
            )
    if evaluation.judge.order != "both":
        raise BenchmarkError(
            f"evaluation {evaluation.name!r}: Arena-Hard plays two games in swapped order: leave the judge's"
            " 'order' out"
        )
    return protocol_of(evaluation.judge, PROMPT)


def named(evaluation: ArenaHard) -> Named:
    """The judge's identity in a line, and the baseline."""
    return Named(str(protocol(evaluation)), evaluation.reference)


def examine(examination: Examination[ArenaHard]) -> Examined:
    """Answer the questions and have each answer judged beside the baseline's."""
    _, items = read_arena(examination.evaluation)
    return _judged(examination.evaluation).examine(examination, items)


def metrics(examination: Examination[ArenaHard], examined: Examined) -> list[Metric]:
    """Win rates, plain and at controlled style, over all and per category; then the judge's reliability."""
    assert examined.judgments is not None
    evaluation = examination.evaluation
    version = read_questions(evaluation)[0].version
    battles = battles_of(examination.run, examined.results.rows, examined.judgments.rows)
    frames = [battles.with_columns(category=pl.lit(""))]
    frames += [battles] if battles["category"].n_unique() > 1 else []
    found = []
    for frame in frames:
        controlled = style_controlled_win_rates(frame, version).win_rates
        both = _metrics("win_rate", win_rates(frame), PLAIN)
        both += _metrics("style_controlled_win_rate", controlled, STYLE.format(version=version))
        found += sorted(both, key=lambda metric: metric.name != evaluation.metric)
    if battles.is_empty():
        found = [Metric(evaluation.metric, Estimate(error=NOTHING), PLAIN, 0)]
    return [*found, *reliability(examined.judgments.rows)]


def battles_of(run: str, results: pl.DataFrame, judgments: pl.DataFrame) -> pl.DataFrame:
    """A row per game of the items that have an outcome, with the style of both answers."""
    good = {row["item_id"]: row for row in results.drop_nulls("outcome").iter_rows(named=True)}
    rows = []
    for game in judgments.drop_nulls("outcome").iter_rows(named=True):
        if game["item_id"] in good:
            rows.append(_battle(run, good[game["item_id"]], game))
    strings = dict.fromkeys(("model", "item_id", "category"), pl.String)
    numbers = dict.fromkeys(("outcome", "weight", *STYLE_COLUMNS), pl.Float64)
    return pl.DataFrame(rows, schema={**strings, **numbers})


def _battle(run: str, result: dict[str, Any], game: dict[str, Any]) -> dict[str, Any]:
    label = SPELLINGS.get(game["verdict"])
    styles = _style("", TURN_BREAK.join(result["response"])) | _style("baseline_", result["reference"])
    return {
        "model": run,
        "item_id": result["item_id"],
        "category": result["task"],
        "outcome": game["outcome"],
        "weight": 1.0 if label is None else float(weight(label)),  # None: the same text, not judged
        **styles,
    }


def _style(prefix: str, text: str) -> dict[str, float]:
    style = style_of(text, len(WORDS.findall(text)))
    return {f"{prefix}{feature}": float(vars(style)[feature]) for feature in FEATURES}


def _metrics(name: str, rates: pl.DataFrame, method: str) -> list[Metric]:
    return [
        Metric(
            name,
            Estimate(
                row["value"], row["low"], row["high"], None if row["value"] is not None else row["reason"]
            ),
            method if row["reason"] is None else f"{method}; {row['reason']}",
            row["n_items"],
            category=row["category"],
        )
        for row in rates.iter_rows(named=True)
    ]


def _item(question: Question, baseline: Answer) -> Item:
    return Item(
        digest("", *question.turns), None, question.turns, task=question.category, reference=baseline.turns
    )


def _judged(evaluation: ArenaHard) -> Judged:
    files = {"baseline": file_identity(evaluation.answers), **records_identity(evaluation)}
    return Judged(evaluation, protocol(evaluation), files)
