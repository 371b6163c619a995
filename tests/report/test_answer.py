"""The sentences of the short answer in every case of a study."""

import polars as pl
import pytest

from preceptor.lake.schemas import CAR_TABLE, EVAL_DIFFERENCES, EVAL_SCORES, TUNED_CHECKPOINT
from preceptor.report.answer import answers
from preceptor.report.evidence import gather
from preceptor.report.missing import failures, runs_without_results, unranked
from preceptor.report.outcome import NOBODY
from tests.report.lakes import BASES, empty_warehouse, put, small_study

BASE = BASES[0]
NAMES = ("a", "b", "c")


def rank(*rows):
    """Rows of the CAR table: teacher, rank, best and worst possible rank."""
    columns = ("teacher", "rank", "rank_low", "rank_high")
    known = {"base": BASE, "mean_reward": 1.0, "mean_loss": 1.0, "expected": 20, "instructions": 20}
    return [{**known, "car": 1 / row[1], **dict(zip(columns, row, strict=True))} for row in rows]


def accuracy(**values):
    """Scores of runs tuned on one teacher, ten points wide."""
    exam = {
        "benchmark": "tasks-exam",
        "metric": "accuracy",
        "n": 50,
        "failed": 0,
        "category": "",
        "unit": "share",
    }
    return [
        {"run": f"notes-{name}", "value": value, "low": value - 0.05, "high": value + 0.05, **exam}
        for name, value in values.items()
    ]


@pytest.fixture
def found(tmp_path):
    def gathered(ranking=(), scores=(), checkpoints=(), runs=True, differences=()):
        study, warehouse = small_study(NAMES, (BASE,), runs), empty_warehouse(tmp_path)
        put(warehouse, CAR_TABLE, list(ranking))
        put(warehouse, EVAL_SCORES, list(scores))
        put(warehouse, TUNED_CHECKPOINT, list(checkpoints))
        put(warehouse, EVAL_DIFFERENCES, list(differences))
        return study, gather(warehouse, study)

    return gathered


ORDER = (("a", 1, 1, 2), ("b", 2, 1, 2), ("c", 3, 3, 3))


def test_rivals_that_could_be_first_are_named(found):
    (answer,) = answers(*found(rank(*ORDER)))
    assert (answer.first, answer.rank) == ("a", "rank 1 to 2 of 3")
    assert "from b, which could be first" in answer.sentence


def test_a_sure_winner_and_a_tie(found):
    (sure,) = answers(*found(rank(("a", 1, 1, 1), ("b", 2, 2, 3), ("c", 3, 2, 3))))
    assert sure.rank == "rank 1 of 3" and "No other teacher could be first" in sure.sentence
    (tied,) = answers(*found(rank(("a", 1, 1, 2), ("b", 1, 1, 3), ("c", 3, 2, 3))))
    assert (tied.first, tied.rank) == ("a and b", "rank 1 to 3 of 3")
    assert tied.sentence == "a and b share the highest CAR."


def test_a_ranking_of_few_instructions_says_so_on_the_first_screen(found):
    few = [row | {"instructions": 12} for row in rank(*ORDER)]
    (answer,), (enough,) = answers(*found(few)), answers(*found(rank(*ORDER)))
    assert "stands on 12 instructions" in answer.settings and "stands on" not in enough.settings


def test_a_right_prediction_gives_the_lead(found):
    (answer,) = answers(*found(rank(*ORDER), accuracy(a=0.8, b=0.5, c=0.6)))
    (outcome,) = answer.outcomes
    assert (outcome.best, outcome.score) == ("a", "80.0 % (75.0 % to 85.0 %)")
    assert "first of 3 tuned students, 20.0 points ahead of c; not tested" in outcome.sentence
    assert outcome.conclusion.startswith("ρ = 0.50 over 3 teachers (3 teachers are too few")


def test_a_wrong_prediction_gives_the_gap(found):
    (answer,) = answers(*found(rank(*ORDER), accuracy(a=0.5, b=0.55, c=0.7)))
    assert answer.outcomes[0].best == "c"
    said = answer.outcomes[0].sentence
    assert "a, has place 3 of 3 tuned students with 50.0 %: 20.0 points behind" in said
    assert said.endswith("not tested, and their intervals do not overlap.")
    (close,) = answers(*found(rank(*ORDER), accuracy(a=0.65, c=0.7)))
    assert close.outcomes[0].sentence.endswith("5.0 points behind; not tested, and their intervals overlap.")


def test_a_first_teacher_without_a_score_is_reported(found):
    (answer,) = answers(*found(rank(*ORDER), accuracy(b=0.5, c=0.4)))
    assert answer.outcomes[0].best == "b"
    assert "b leads. No student of CAR's first teacher" in answer.outcomes[0].sentence


def test_of_equal_students_none_is_the_best(found):
    (answer,) = answers(*found(rank(*ORDER), accuracy(a=0.0, b=0.0, c=0.0)))
    (outcome,) = answer.outcomes
    assert outcome.best == NOBODY and "All 3 tuned students score 0.0 %" in outcome.sentence
    (answer,) = answers(*found(rank(*ORDER), accuracy(a=0.3 - 0.1, b=0.2, c=0.1)))  # 0.1999… is 0.2
    assert answer.outcomes[0].best == "a and b"
    assert "a, shares the first place with b, of 3 tuned students" in answer.outcomes[0].sentence


def test_outcomes_without_a_ranking(found):
    missing = [{"base": BASE, "teacher": name, "missing": "no rewards from grader"} for name in NAMES]
    (answer,) = answers(*found(missing, accuracy(a=0.5, b=0.6)))
    assert (answer.first, answer.outcomes[0].best, answer.outcomes[0].sentence) == (None, "b", "")
    assert answer.sentence == "No teacher is ranked for this base: no rewards from grader."
    assert answer.outcomes[0].conclusion.endswith("no teacher has both a prediction and an outcome.")


def test_why_there_is_no_outcome(found):
    (ranking,) = answers(*found(rank(*ORDER), runs=False))
    assert "no runs for this base" in ranking.silence
    (waiting,) = answers(*found(rank(*ORDER)))
    assert "4 runs" in waiting.silence
    mixed = [{**accuracy(a=0.5)[0], "run": "notes-random-300"}]
    (other,) = answers(*found(rank(*ORDER), mixed))
    assert "one teacher's rows alone" in other.silence


def test_what_is_missing_is_named(found):
    scores = accuracy(a=0.5)
    empty = {**scores[0], "run": "notes-b", "benchmark": "open-ended", "metric": "lc_win_rate", "value": None}
    tuned = [{"run": f"notes-{name}", "final_loss": 1.0} for name in ("a", "b")]
    study, evidence = found(rank(*ORDER[:2]), [*scores, {**empty, "error": "all outcomes are wins"}], tuned)
    (late,) = unranked(study, evidence)
    assert late.startswith(f"{BASE}: c – ") and "CAR table" in late
    untuned, tasks, open_ended, without_value = runs_without_results(study, evidence)
    assert "Not tuned" in untuned and untuned.endswith(": notes-c and notes-random-300")
    assert tasks.startswith("tasks-exam: ") and tasks.endswith(" notes-b and untuned-notes-base")
    assert open_ended.startswith("open-ended: ") and open_ended.endswith(" notes-a and untuned-notes-base")
    assert without_value == "notes-b: open-ended has no lc_win_rate – all outcomes are wins"


def test_failures_count_all_and_name_the_most_common_reasons(found):
    _, evidence = found()
    rows = [("rewards", 20, n, reason) for n, reason in ((9, None), (5, "a"), (3, "b"), (2, "c"), (1, "d"))]
    schema = evidence.failures.schema
    shown = pl.DataFrame(rows, schema=schema, orient="row")
    changed = type(evidence)(**{**vars(evidence), "failures": shown})
    assert failures(changed) == [("rewards", "20", "11", "5 × a; 3 × b; 2 × c; and 1 more reason")]


def untuned(**against):
    """Rows of `eval_differences`: each student and the untuned base, with the p."""
    return [
        {
            "benchmark": "tasks-exam",
            "base": BASE,
            "first_run": f"notes-{name}",
            "second_run": f"untuned-{BASE}",
        }
        | {"untuned": True, "metric": "accuracy", "difference": 0.1, "p_adjusted": p, "n": 50, "left_out": 0}
        for name, p in against.items()
    ]


def test_no_student_is_best_if_none_is_better_than_the_untuned_base(found):
    scores = accuracy(a=0.4, b=0.35, c=0.3)
    scores.append({**scores[0], "run": f"untuned-{BASE}", "value": 0.33})
    (answer,) = answers(*found(rank(*ORDER), scores, differences=untuned(a=0.9, b=1.0, c=1.0)))
    (outcome,) = answer.outcomes
    assert outcome.best == NOBODY and "The untuned base scores 33.0 %" in outcome.sentence
    assert "not tested: no student differs significantly from the untuned base" in outcome.conclusion
    # First c differs because it is worse than the base; then b is better, but a still does not differ.
    (answer,) = answers(*found(rank(*ORDER), scores, differences=untuned(a=0.9, b=1.0, c=0.01)))
    assert (
        answer.outcomes[0].best == NOBODY
        and "No student is significantly better" in answer.outcomes[0].sentence
    )
    (answer,) = answers(*found(rank(*ORDER), scores, differences=untuned(a=0.9, b=0.01, c=1.0)))
    (outcome,) = answer.outcomes
    assert outcome.best == "a" and "the first student does not differ" in outcome.sentence
    assert "not tested" not in outcome.conclusion


def test_students_that_hardly_learned_are_not_tested(found):
    tuned = [{"run": f"notes-{name}", "steps": 3, "loss_steps": [3], "losses": [11.7]} for name in NAMES]
    (answer,) = answers(*found(rank(*ORDER), accuracy(a=0.8, b=0.6, c=0.5), tuned))
    (outcome,) = answer.outcomes
    assert (
        "ρ = 1.00 over 3 teachers; not tested: 3 of 3 students may have learned little" in outcome.conclusion
    )
    assert "may have learned little or nothing" in outcome.sentence
