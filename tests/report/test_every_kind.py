"""The page shows every kind of evaluation: its score with the judge and reference that its module names."""

import pytest

from preceptor.evaluation.job import Metric
from preceptor.evaluation.kinds import KINDS
from preceptor.evaluation.scores import Account, score_rows
from preceptor.lake.schemas import EVAL_SCORES
from preceptor.report.page import build_report
from preceptor.statistics.estimates import Estimate
from tests.report.lakes import BASES, FACTS, empty_warehouse, put, small_study
from tests.report.test_page import Reader
from tests.study.test_evaluations import GOOD, study

UNITS = {"grade": "grade", "held_out_loss": "nats per token"}
RIGHT_ANSWERS = {"gsm8k", "code"}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds")
    declared = study(folder, *(f"name: {name}, {rest}" for name, rest in GOOD.items())).evaluations
    asked = small_study(("a",), (BASES[0],), True).model_copy(update={"evaluations": declared})
    rows = []
    for number, evaluation in enumerate(declared):
        value = 0.31 + number / 100
        estimate, unit = Estimate(value, value - 0.1, value + 0.1), UNITS.get(evaluation.metric, "share")
        metric = Metric(evaluation.metric, estimate, f"formula of {evaluation.name}", 12, unit=unit)
        named = KINDS[evaluation.kind].named(evaluation)
        scores = score_rows([metric], Account(14, 12, 1, 1), named)
        rows += [
            {"run": run, "benchmark": evaluation.name, **row}
            for run in ("notes-a", "untuned-notes-base")
            for row in scores.to_dicts()
        ]
    warehouse = empty_warehouse(folder)
    put(warehouse, EVAL_SCORES, rows)
    return Reader(build_report(asked, warehouse, FACTS)).text


@pytest.mark.parametrize(("number", "name"), list(enumerate(GOOD)))
def test_a_score_has_its_interval_counts_judge_and_reference(text, number, name):
    told = text.split(f"Method: formula of {name}.")
    assert len(told) == 2, "its method is told once"
    value = 0.31 + number / 100
    shown = f"{value:.3f}" if name in ("grades", "loss") else f"{value:.1%}".replace("%", " %")
    around = told[0][-600:] + told[1][:900]
    assert f" {shown} " in around
    assert " 12 12 1 1 14 " in around  # items, judged, failed, filtered, expected
    base = around.index(" untuned-notes-base ")  # after its students, without a recipe
    assert around.index(" notes-a ") < base < around.index(" notes-base untuned base ")
    compared = told[1].split("Compared with: ")[1].split(".")[0]
    assert (compared == "the right answers") == (name in RIGHT_ANSWERS)
    judged = {"alpaca-eval", "lima", "arena", "grades"}
    judge = told[1].split("Judge: ")[1]
    assert judge.startswith("j (m at http://localhost/v1" if name in judged else ("people", "none"))


def test_a_loss_shows_its_unit(text):
    assert "loss: held_out_loss, nats per token" in text
