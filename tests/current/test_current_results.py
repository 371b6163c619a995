"""Which results are current is decided per run: a base that cannot be found affects only its own runs."""

import polars as pl

from preceptor.current import results
from preceptor.evaluation.evaluate import evaluation_fingerprints
from preceptor.lake.schemas import EVAL_RESULTS, EVAL_SCORES
from preceptor.study.schema import Study
from preceptor.tuning.untuned import untuned_fingerprint
from tests.report.lakes import BASES, empty_warehouse, put, small_study


def test_a_base_that_cannot_be_found_affects_only_its_own_runs(monkeypatch, caplog):
    study = small_study(("a", "b")).model_dump()
    study["bases"][0].update(model="nobody/nowhere", revision="main")
    study = Study.model_validate(study)
    texts = dict.fromkeys(("response_id", "system", "user", "turns", "finish_reason"), pl.String)
    monkeypatch.setattr(results, "chosen_conversations", lambda *_: pl.DataFrame(schema=texts))
    found = results.current_checkpoints(None, study)
    assert set(found) == {run.name for run in study.runs if run.base != BASES[0]} != set()
    assert "the report leaves out run" in caplog.text
    assert "model 'nobody/nowhere' at revision 'main' is neither" in caplog.text


def test_an_untuned_base_counts_only_with_current_weights_format_and_benchmark(tmp_path, base_model):
    document = small_study(("a",), (BASES[0],)).model_dump()
    document["bases"][0].update(model=base_model, revision="main")
    document["evaluations"] = document["evaluations"][:1]
    study = Study.model_validate(document)
    (benchmark,), fingerprint = study.evaluations, untuned_fingerprint(study.bases[0])
    (tmp_path / "exam.jsonl").write_text('{"instruction": "1 + 1?", "answer": 2, "check": "number"}\n')
    benchmark = benchmark.model_copy(update={"dataset": None, "path": str(tmp_path / "exam.jsonl")})
    study = study.model_copy(update={"evaluations": (benchmark,)})
    of_results, of_scores = evaluation_fingerprints(benchmark, fingerprint)
    other = study.bases[0].model_copy(update={"prompt_format": "plain"})
    for today, counted in ((study, 1), (study.model_copy(update={"bases": (other,)}), 0)):
        warehouse = empty_warehouse(tmp_path)
        place = {"run": f"untuned-{BASES[0]}", "benchmark": benchmark.name}
        put(warehouse, EVAL_RESULTS, [{**place, "item_id": "i", "sample": 0, "fingerprint": of_results}])
        put(warehouse, EVAL_SCORES, [{**place, "metric": "accuracy", "value": 0.5, "fingerprint": of_scores}])
        results.keep_current_results(warehouse, today)
        assert warehouse.rows("eval_results").height == warehouse.rows("eval_scores").height == counted


def test_an_untuned_base_that_cannot_be_found_is_left_out_and_named(caplog):
    document = small_study(("a", "b")).model_dump()
    document["bases"][0].update(model="nobody/nowhere", revision="main")
    found = results.current_untuned(Study.model_validate(document))
    assert set(found) == {f"untuned-{BASES[1]}"}
    assert f"the report leaves out untuned-{BASES[0]}" in caplog.text
