"""Audits trace a checkpoint, a score or a ranking back to its rows, and report what changed."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from preceptor.audit.changes import ranking_change, why_rescored
from preceptor.audit.checkpoint import audit_checkpoint
from preceptor.audit.evaluation import audit_evaluation
from preceptor.audit.export import earlier_heads, export_audit
from preceptor.audit.finding import wrong
from preceptor.audit.folder import AuditError
from preceptor.audit.ranking import audit_ranking
from preceptor.audit.search import find_checkpoints
from preceptor.audit.stored import since, stored_files
from preceptor.audit.words import audit_text
from preceptor.lake.ledger import log_name, record
from preceptor.lake.schemas import (
    CAR_TABLE,
)
from preceptor.study.schema import Study
from resources.warehouse import SQL
from tests.audit.conftest import Case
from tests.audit.damage import (
    data_file,
    rewrite,
)
from tests.audit.lakes import rank, reload, small_document, tune
from tests.studies import QUESTIONS, lines


def test_a_sound_checkpoint_is_walked_back_to_its_source(made):
    audit = made.audit()
    assert wrong(audit.findings) == []
    assert [f for f in audit.findings if f.holds is None] == []
    looked_at = {finding.subject.split()[0] for finding in audit.findings}
    assert looked_at >= {
        *("checkpoint", "tuned_checkpoint", "selected_subset", "responses", "raw_instructions"),
        *("rewards", "base_losses", "rows", "source"),
    }
    assert audit.rows.height == len(QUESTIONS)
    assert set(audit.rows["teacher"]) == {"brief"}
    assert set(audit.rows["turns"].list.first()) == {f"{question[:6]}: yes." for question in QUESTIONS}
    text = "\n".join(audit_text(audit))
    assert "teacher brief: 12 rows; engine recorded" in text
    assert "terms brief-terms" in text
    assert text.endswith("no mismatch")


def test_a_score_is_walked_back_to_the_checkpoint_that_gave_the_answers(made):
    audit = audit_evaluation(made.lake, SQL, "a-chatty", "sums")
    assert wrong(audit.findings) == []
    says = "\n".join(str(finding) for finding in audit.findings)
    for part in ("eval_scores a-chatty × sums", "eval_results a-chatty × sums", "student_responses a-chatty"):
        assert part in says
    assert f"results of a-chatty on sums: belong to checkpoint {audit.checkpoint.fingerprint}" in says
    assert set(audit.rows["teacher"]) == {"chatty"}
    untuned = audit_evaluation(made.lake, SQL, "untuned-base-a", "sums")
    assert wrong(untuned.findings) == [] and untuned.checkpoint is None
    identity = audit.checkpoint.manifest["base"]["identity"]
    assert f"belong to the untuned base {identity}" in str(untuned.findings[-1])
    assert any("student_responses untuned-base-a" in finding.subject for finding in untuned.findings)
    with pytest.raises(AuditError, match="a-brief on judged, a-brief on sums, a-chatty on judged"):
        audit_evaluation(made.lake, SQL, "a-chatty", "nothing")
    with pytest.raises(AuditError, match="a-brief, a-chatty"):
        audit_checkpoint(made.lake, SQL, "nobody")


def test_an_audit_of_a_judged_score_checks_every_verdict(case):
    audit = audit_evaluation(case.lake, SQL, "a-chatty", "judged")
    assert wrong(audit.findings) == []
    assert "judgments a-chatty × judged" in "\n".join(str(finding) for finding in audit.findings)
    rewrite(case, "judgments/run=a-chatty/benchmark=judged", "verdict", lambda found: ["B", *found[1:]])
    found = wrong(audit_evaluation(case.lake, SQL, "a-chatty", "judged").findings)
    named = {finding.subject.split(" at ")[0] for finding in found}
    assert named == {"files of judgments", "judgments a-chatty × judged"}


def test_a_changed_or_missing_source_is_reported_but_is_no_error(made, case, tmp_path):
    shutil.copytree(made.folder, tmp_path / "all", dirs_exist_ok=True)
    moved = made.folder / "questions.jsonl"
    text = moved.read_text()
    try:
        moved.write_text(text + "\n")
        says = [str(f) for f in case.audit().findings if f.holds is None]
        assert len(says) == 1 and f"source questions: {moved} " in says[0]
        moved.rename(moved.with_suffix(".gone"))
        gone = case.audit().findings[-1]
        assert gone.holds is None and str(moved) in gone.says
    finally:
        moved.with_suffix(".gone").unlink(missing_ok=True)
        moved.write_text(text)


def test_a_model_that_was_tuned_again_can_still_be_audited(case):
    """Its rows are read at the versions that it was tuned on, although the lake has newer ones."""
    before = case.audit().checkpoint
    study = taught_otherwise(case)
    after = case.audit().checkpoint
    assert after.fingerprint != before.fingerprint
    old = audit_checkpoint(case.lake, SQL, "a-brief", before.fingerprint)
    assert wrong(old.findings) == []
    assert set(old.rows["turns"].list.first()) == {f"{question[:6]}: yes." for question in QUESTIONS}
    assert set(case.audit().rows["turns"].list.first()) == {"No."}
    found = find_checkpoints(case.lake, SQL, study, teacher="brief").found
    assert found.select("fingerprint", "is_current").sort("is_current").rows() == [
        (before.fingerprint, False),
        (after.fingerprint, True),
    ]


def taught_otherwise(case: Case) -> Study:
    """Change the answers of the teacher `brief`, and run all steps again."""
    shutil.copytree(Path(case.study.bases[0].model).parent, case.folder, dirs_exist_ok=True)
    lines(
        case.folder / "brief.jsonl", [{"instruction": question, "response": "No."} for question in QUESTIONS]
    )
    study = reload(case.folder / "small.yaml", small_document())
    rank(study, case.lake)
    tune(study, case.lake)
    return study


def test_checkpoints_are_found_by_teacher_source_and_terms(made):
    def runs(**asked: str) -> list[tuple[str, int, int]]:
        search = find_checkpoints(made.lake, SQL, made.study, **asked)
        assert search.unknown == []
        return search.found.select("run", "rows", "rows_in_all").rows()

    assert runs(teacher="brief") == [("a-brief", 12, 12)]
    assert runs(source="questions") == [("a-brief", 12, 12), ("a-chatty", 12, 12)]
    assert runs(terms="chatty-terms") == [("a-chatty", 12, 12)]
    assert runs(terms="chatty-terms", teacher="brief") == []
    today = made.study.model_copy(
        update={"teachers": tuple(t.model_copy(update={"terms": "new"}) for t in made.study.teachers)}
    )
    assert find_checkpoints(made.lake, SQL, today, terms="new").found.height == 2
    assert find_checkpoints(made.lake, SQL, today, terms="brief-terms").found.height == 1


def test_a_checkpoint_whose_rows_are_lost_is_listed_as_unknown(case):
    data_file(case, "responses/teacher=brief").unlink()
    search = find_checkpoints(case.lake, SQL, case.study, teacher="brief")
    assert any("a-brief" in finding.subject and not finding.holds for finding in search.unknown)


def test_why_a_teacher_was_scored_again(case):
    assert set(why_rescored(case.lake, SQL, "brief")["why"]) == {"first time"}
    taught_otherwise(case)
    again = why_rescored(case.lake, SQL, "brief").filter(pl.col("why") != "first time")
    assert again.select("table_name", "why").rows() == [
        ("responses", "other settings"),
        ("rewards", "other rows, same settings"),
        ("base_losses", "other rows, same settings"),
    ]
    assert "origin: " in again["changes"][0]
    assert "read responses: version 2 → version 3" in again["changes"][1]
    assert set(why_rescored(case.lake, SQL, "chatty")["why"]) == {"first time"}
    with pytest.raises(AuditError, match="brief, chatty"):
        why_rescored(case.lake, SQL, "nobody")


def test_what_changed_between_two_rankings(case):
    with pytest.raises(AuditError, match=r"CAR table .*twice"):
        ranking_change(case.lake, SQL)
    before = case.lake.read(CAR_TABLE)
    taught_otherwise(case)
    change = ranking_change(case.lake, SQL)
    (row,) = change.teachers.filter(teacher="brief").to_dicts()
    old, new = (
        t.row(by_predicate=pl.col("teacher") == "brief", named=True)
        for t in (before, case.lake.read(CAR_TABLE))
    )
    assert (row["car_before"], row["car_after"]) == (old["car"], new["car"])
    assert row["car_before"] != row["car_after"]
    assert set(change.partitions.select("table_name", "partition").rows()) == {
        ("responses", "brief"),
        ("rewards", "scores × brief"),
        ("base_losses", "base-a × brief"),
    }
    assert change.settings == []


def test_a_changed_setting_of_the_ranking_is_named(case):
    study = small_document()
    study["car"]["beta"] = 1.0
    shutil.copytree(Path(case.study.bases[0].model).parent, case.folder, dirs_exist_ok=True)
    rank(reload(case.folder / "small.yaml", study), case.lake)
    change = ranking_change(case.lake, SQL)
    assert change.settings == ["car.beta: 3.0 → 1.0"]
    assert change.partitions.is_empty()
    assert set(change.teachers["teacher"]) == {"brief", "chatty"}


def test_an_audit_of_a_ranking_checks_its_rows_without_any_run(made):
    audit = audit_ranking(made.lake, SQL)
    assert [finding for finding in audit.findings if not finding.holds] == []
    says = "\n".join(audit_text(audit))
    for part in (
        "car_table at version 1",
        "rewards scores × chatty",
        "base_losses base-a × brief",
        "source q",
    ):
        assert part in says
    assert f"teacher chatty: {len(QUESTIONS)} rows; engine recorded" in says
    assert "terms chatty-terms" in says
    assert audit.rows.height == 2 * len(QUESTIONS)
    whole = audit_ranking(made.lake, SQL, whole=True)
    assert (whole.findings, list(audit_text(whole))) == (audit.findings, list(audit_text(audit)))
    assert whole.rows.height == 2 * len(QUESTIONS)  # of one base
    ranked = made.lake.read(CAR_TABLE)
    for teacher, reward, loss in ranked.select("teacher", "mean_reward", "mean_loss").iter_rows():
        rows = whole.rows.filter(teacher=teacher)
        assert (1 / (1 + (-rows["reward"]).exp())).mean() == pytest.approx(reward)  # mapped by a sigmoid
        assert (rows["nll_sum"] / rows["tokens"]).mean() == pytest.approx(loss)
    with pytest.raises(AuditError, match="version 0 of car_table"):
        audit_ranking(made.lake, SQL, 0)


def test_an_export_kept_elsewhere_reveals_a_rewritten_history(case, tmp_path):
    kept = tmp_path / "kept.json"
    export_audit(case.audit(), kept)
    heads = earlier_heads(kept)
    ranked = case.lake.read(CAR_TABLE, columns=list(CAR_TABLE.row_schema))
    case.lake.publish(CAR_TABLE, ranked, {}, "again")  # new commits continue the history
    assert wrong(since(case.lake, heads, "kept.json")) == []
    for path in (case.home / "car_table/_hashes").iterdir():
        path.unlink()
    log = case.home / "car_table" / log_name(1)
    log.write_text(log.read_text().replace("ratio", "other"))
    record(case.lake.files(CAR_TABLE), case.lake.open(CAR_TABLE).version())  # all hashes rewritten
    assert wrong(stored_files(case.lake).findings) == []
    (found,) = wrong(since(case.lake, heads, "kept.json"))
    assert found.subject == "history of car_table"
    kept.write_text("[]")
    with pytest.raises(AuditError, match=r"kept\.json"):
        earlier_heads(kept)


def test_a_manifest_without_an_objective_is_audited_as_sft(case):
    def older(manifests: list[str]) -> list[str]:
        return [json.dumps({k: v for k, v in json.loads(m).items() if k != "objective"}) for m in manifests]

    rewrite(case, "tuned_checkpoint/run=a-brief", "manifest", older)
    audit = case.audit()
    assert "objective" not in audit.checkpoint.manifest
    (rows,) = (finding for finding in audit.findings if finding.subject == "rows of a-brief")
    assert rows.holds


def test_an_export_is_one_file_with_findings_rows_and_commits(made, tmp_path):
    file = tmp_path / "audit.json"
    export_audit(made.audit(), file)
    document = json.loads(file.read_text())
    assert document["verified"] is True
    assert len(document["rows"]) == document["manifest"]["rows"] == 12
    assert {row["source"] for row in document["rows"]} == {"questions"}
    assert {c["table"] for c in document["commits"]} >= {"responses", "raw_instructions", "selected_subset"}
    assert [path.name for path in tmp_path.iterdir()] == ["audit.json"]
