"""What counts today is asked of each run alone: one base that cannot be found takes no other run with it."""

import polars as pl

from preceptor.report import current_results
from preceptor.study.schema import Study
from tests.report.lakes import BASES, small_study


def test_a_base_that_is_nowhere_costs_its_own_runs_only(monkeypatch, caplog):
    study = small_study(("a", "b")).model_dump()
    study["bases"][0].update(model="nobody/nowhere", revision="main")
    study = Study.model_validate(study)
    texts = dict.fromkeys(("response_id", "system", "user", "turns", "finish_reason"), pl.String)
    monkeypatch.setattr(current_results, "chosen_conversations", lambda *_: pl.DataFrame(schema=texts))
    found = current_results.current_checkpoints(None, study)
    assert set(found) == {run.name for run in study.runs if run.base != BASES[0]} != set()
    assert "the report leaves out run" in caplog.text
    assert "model 'nobody/nowhere' at revision 'main' is neither" in caplog.text
