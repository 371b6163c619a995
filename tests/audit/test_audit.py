"""From a checkpoint back to its rows; every kind of damage is found and named."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as parquet
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
from preceptor.lake.files import sealed
from preceptor.lake.ledger import entry_name, live_files, log_name, record
from preceptor.lake.schemas import (
    BASE_LOSSES,
    CAR_TABLE,
    PREDICTED_ACTUAL,
    RAW_INSTRUCTIONS,
    RESPONSES,
    REWARDS,
)
from preceptor.study.schema import Study
from resources.warehouse import SQL
from tests.audit.conftest import Case
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
    assert text.endswith("nothing that does not match")


def test_a_score_is_walked_back_to_the_checkpoint_that_gave_the_answers(made):
    audit = audit_evaluation(made.lake, SQL, "a-chatty", "sums")
    assert wrong(audit.findings) == []
    says = "\n".join(str(finding) for finding in audit.findings)
    for part in ("eval_scores a-chatty × sums", "eval_results a-chatty × sums", "student_responses a-chatty"):
        assert part in says
    assert f"of checkpoint {audit.checkpoint.fingerprint}" in says
    assert set(audit.rows["teacher"]) == {"chatty"}
    untuned = audit_evaluation(made.lake, SQL, "untuned-base-a", "sums")
    assert wrong(untuned.findings) == [] and untuned.checkpoint is None
    assert f"of the untuned base {audit.checkpoint.manifest['base']['identity']}" in str(untuned.findings[-1])
    assert any("student_responses untuned-base-a" in finding.subject for finding in untuned.findings)
    with pytest.raises(AuditError, match="there are: a-brief on judged, a-brief on sums, a-chatty on judged"):
        audit_evaluation(made.lake, SQL, "a-chatty", "nothing")
    with pytest.raises(AuditError, match="there are: a-brief, a-chatty"):
        made_of_nothing = "nobody"
        audit_checkpoint(made.lake, SQL, made_of_nothing)


def test_a_judged_score_is_walked_back_to_every_verdict(case):
    audit = audit_evaluation(case.lake, SQL, "a-chatty", "judged")
    assert wrong(audit.findings) == []
    assert "judgments a-chatty × judged" in "\n".join(str(finding) for finding in audit.findings)
    rewrite(case, "judgments/run=a-chatty/benchmark=judged", "verdict", lambda said: ["B", *said[1:]])
    found = wrong(audit_evaluation(case.lake, SQL, "a-chatty", "judged").findings)
    named = {finding.subject.split(" at ")[0] for finding in found}
    assert named == {"files of judgments", "judgments a-chatty × judged"}


def weights(case: Case) -> None:
    flip(next(case.home.glob("checkpoints/a-brief/*/model.safetensors")), -1)


def lost_file(case: Case) -> None:
    next(case.home.glob("checkpoints/a-brief/*/tokenizer.json")).unlink()


def added_file(case: Case) -> None:
    next(case.home.glob("checkpoints/a-brief/*/manifest.json")).with_name("extra.py").write_text("import os")


def manifest(case: Case) -> None:
    path = next(case.home.glob("checkpoints/a-brief/*/manifest.json"))
    said = json.loads(path.read_text())
    path.write_text(json.dumps(said | {"seed": 7}))


def response(case: Case) -> None:
    """A word of one response, in a Parquet file that stays whole."""
    rewrite(case, "responses/teacher=brief", "turns", lambda turns: [["no"], *turns[1:]])


def instruction(case: Case) -> None:
    rewrite(case, "raw_instructions", "turns", lambda turns: [["Why?"], *turns[1:]])


def reward(case: Case) -> None:
    rewrite(case, "rewards/reward_model=scores/teacher=brief", "reward", lambda found: [9.5, *found[1:]])


def loss(case: Case) -> None:
    rewrite(case, "base_losses/base=base-a/teacher=brief", "nll_sum", lambda found: [0.1, *found[1:]])


def choice(case: Case) -> None:
    rewrite(case, "selected_subset/recipe=of-brief", "why", lambda why: ["bribed", *why[1:]])


def fewer_rows(case: Case) -> None:
    path = data_file(case, "responses/teacher=brief")
    replace(path, parquet.read_table(path, partitioning=None).slice(1))


def exchanged_file(case: Case) -> None:
    path = data_file(case, "responses/teacher=brief")
    parquet.write_table(parquet.read_table(path, partitioning=None).slice(1), path)


def damaged_byte(case: Case) -> None:
    flip(data_file(case, "responses/teacher=brief"), 20)


def vacuumed_file(case: Case) -> None:
    data_file(case, "rewards/reward_model=scores/teacher=brief").unlink()


def lost_version(case: Case) -> None:
    log = case.home / "responses" / "_delta_log"
    for path in sorted(log.glob("*.json"))[1:]:
        path.unlink()


def lost_table(case: Case) -> None:
    shutil.rmtree(case.home / "rewards")


def silent_commit(case: Case) -> None:
    """Somebody else's writer, which says nothing of what it wrote."""
    for log in (case.home / "responses" / "_delta_log").glob("*.json"):
        log.write_text(log.read_text().replace('"preceptor":', '"another":'))
    response(case)


def settings_in_the_log(case: Case) -> None:
    for path in (case.home / "responses" / "_delta_log").glob("*.json"):
        path.write_text(
            path.read_text().replace(
                '\\\\\\"engine\\\\\\": \\\\\\"recorded\\\\\\"', '\\\\\\"engine\\\\\\": \\\\\\"vllm\\\\\\"'
            )
        )


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (weights, "model.safetensors is not the file that was written"),
        (lost_file, "tokenizer.json is gone"),
        (added_file, "extra.py is not in the manifest"),
        (manifest, "manifest.json differs from the lake's copy in seed"),
        (response, "responses brief at version 2: 12 rows that are not those committed; altered: "),
        (instruction, "raw_instructions at version 1: 12 rows that are not those committed; altered: "),
        (reward, "rewards scores × brief at version 2: 12 rows that are not those committed; in "),
        (loss, "base_losses base-a × brief at version 2: 12 rows that are not those committed; in "),
        (choice, "selected_subset of-brief at version 2: 12 rows that are not those committed; in "),
        (fewer_rows, "11 rows that are not those committed, which were 12"),
        (exchanged_file, ".snappy.parquet is not of the size that was committed"),
        (damaged_byte, ".snappy.parquet is damaged"),
        (vacuumed_file, ".snappy.parquet is gone"),
        (lost_version, "responses"),
        (lost_table, "rewards at version 2: is gone, and selected_subset was made from it"),
        (silent_commit, "12 rows that are not those of the manifest; their commit is gone"),
        (settings_in_the_log, "responses brief at version 2: the settings in its commit are not those of"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_damage_is_found_and_named(case, damage, expected):
    assert case.problems() == ""
    damage(case)
    assert expected in case.problems()
    assert "DO NOT MATCH" in list(audit_text(case.audit()))[-1]


def test_files_exchanged_restored_or_taken_away_are_named_each(case):
    """Each is a whole file of its own kind, so only hashes tell; of tables far from the model too."""
    table = case.home / "eval_scores"
    first, second = sorted(table.rglob("*.parquet"))[:2]
    early, late = table / log_name(1), table / log_name(2)
    for one, other in ((first, second), (early, late), (table / entry_name(1), table / entry_name(2))):
        kept = one.read_bytes(), other.read_bytes()
        one.write_bytes(kept[1])
        other.write_bytes(kept[0])
        problems = case.problems()
        assert str(one) in problems and str(other) in problems
        one.write_bytes(kept[0])
        other.write_bytes(kept[1])
    assert case.problems() == ""
    first.unlink()
    assert f"{first} is gone, and no commit took it out" in case.problems()
    late.unlink()
    assert f"{late} is gone" in case.problems()


@pytest.mark.parametrize("table", ["raw_instructions", "responses", "rewards", "base_losses", "car_table"])
def test_a_table_whose_last_commit_was_rolled_back_is_named(case, table):
    """Log entry, hashes and data together: in itself the table is sound, but others were made from it."""
    tables = (RAW_INSTRUCTIONS, RESPONSES, REWARDS, BASE_LOSSES, CAR_TABLE)
    page = pl.DataFrame([dict.fromkeys(PREDICTED_ACTUAL.row_schema)], schema=PREDICTED_ACTUAL.row_schema)
    case.lake.made_from(case.lake.versions(*tables)).publish(PREDICTED_ACTUAL, page, {}, "report")
    assert wrong(stored_files(case.lake).findings) == []
    newest = max(int(path.stem) for path in (case.home / table / "_delta_log").glob("*.json"))
    log = case.home / table / log_name(newest)
    for file in live_files([log.read_bytes()]):
        (case.home / table / file).unlink()
    log.unlink()
    (case.home / table / entry_name(newest)).unlink()
    problem = f"{case.home}/{table}/{entry_name(newest)} is gone: "
    assert problem in case.problems()
    ranking = "\n".join(str(finding) for finding in audit_ranking(case.lake, SQL).findings)
    assert problem in ranking


def test_a_report_that_was_changed_or_cut_is_named(case):
    page = case.home / "report.html"
    page.write_text(sealed("<p>β</p>"))
    assert case.problems() == ""
    whole = page.read_bytes()
    for damaged in (whole.replace(b"<p>", b"<b>"), whole[:-2], whole.replace("β".encode(), b"\xff")):
        page.write_bytes(damaged)
        assert str(page) in case.problems()
    page.write_bytes(whole[:5])
    (unknown,) = (finding for finding in case.audit().findings if finding.holds is None)
    assert f"{page} holds no hash of itself" in unknown.says


def test_an_altered_response_is_named_and_so_is_what_was_tuned_on_it(case):
    first = case.lake.read(RESPONSES, {"teacher": "brief"})["response_id"][0]
    response(case)
    assert f"altered: {first}; in {data_file(case, 'responses/teacher=brief')}" in case.problems()
    assert "rows of a-brief: their words are not those that the model was tuned on" in case.problems()


def test_a_source_that_moved_on_is_said_but_is_no_fault(made, case, tmp_path):
    shutil.copytree(made.folder, tmp_path / "all", dirs_exist_ok=True)
    moved = made.folder / "questions.jsonl"
    text = moved.read_text()
    try:
        moved.write_text(text + "\n")
        says = [str(f) for f in case.audit().findings if f.holds is None]
        assert says == [f"?      source questions: {moved} was changed since its rows were read"]
        moved.rename(moved.with_suffix(".gone"))
        assert "no longer here; its rows are in the lake" in str(case.audit().findings[-1])
    finally:
        moved.with_suffix(".gone").unlink(missing_ok=True)
        moved.write_text(text)


def test_a_model_that_was_tuned_again_can_still_be_audited(case):
    """Its rows are those of its own versions, though the lake has moved on."""
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
    """The teacher `brief` says something else, and everything is made again."""
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


def test_a_checkpoint_whose_rows_are_lost_is_not_passed_over(case):
    data_file(case, "responses/teacher=brief").unlink()
    search = find_checkpoints(case.lake, SQL, case.study, teacher="brief")
    assert any("its rows cannot be read" in str(finding) for finding in search.unknown)


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
    with pytest.raises(AuditError, match="known are brief, chatty"):
        why_rescored(case.lake, SQL, "nobody")


def test_what_changed_between_two_rankings(case):
    with pytest.raises(AuditError, match="not published twice"):
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


def test_a_ranking_is_walked_back_to_its_rows_without_any_run(made):
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
    with pytest.raises(AuditError, match=r"nothing was ranked in .* by version 0 of car_table"):
        audit_ranking(made.lake, SQL, 0)


def declared_in_the_log(case: Case) -> Path:
    """The teacher's terms, as its commit says that the study declared them."""
    (log,) = (
        path
        for path in (case.home / "responses/_delta_log").glob("*.json")
        if "brief-terms" in path.read_text()
    )
    log.write_text(log.read_text().replace("brief-terms", "of-a-liar"))
    return log


def test_what_a_commit_declares_cannot_be_changed_unseen(case):
    log = declared_in_the_log(case)
    for audit in (case.audit(), audit_ranking(case.lake, SQL)):
        text = "\n".join(audit_text(audit))
        assert f"{log} is not the file that was written" in text
        assert "teacher brief: 12 rows; what its commit says of it is not to be trusted" in text
        assert "of-a-liar" not in text


def test_a_newest_commit_rewritten_with_its_hashes_is_not_the_one_that_others_were_made_from(case):
    """Nobody follows it in its own table: what was made from it holds its head."""
    log = declared_in_the_log(case)
    files = case.lake.files(RESPONSES)
    version = max(int(path.stem) for path in (case.home / "responses/_hashes").glob("*.json"))
    for number in range(int(log.stem), version + 1):
        (case.home / "responses" / entry_name(number)).unlink()
    record(files, version)
    (past,) = wrong(stored_files(case.lake).findings)
    assert past.subject == "past of responses"
    found = [str(finding) for finding in wrong(case.audit().findings)]
    assert any(
        f"{entry_name(version)}, which it was made from, is not the one of then" in text for text in found
    )


def test_an_export_kept_elsewhere_vouches_for_the_past(case, tmp_path):
    kept = tmp_path / "kept.json"
    export_audit(case.audit(), kept)
    heads = earlier_heads(kept)
    ranked = case.lake.read(CAR_TABLE, columns=list(CAR_TABLE.row_schema))
    case.lake.publish(CAR_TABLE, ranked, {}, "again")  # new commits continue the past
    assert wrong(since(case.lake, heads, "kept.json")) == []
    for path in (case.home / "car_table/_hashes").iterdir():
        path.unlink()
    log = case.home / "car_table" / log_name(1)
    log.write_text(log.read_text().replace("ratio", "other"))
    record(case.lake.files(CAR_TABLE), case.lake.open(CAR_TABLE).version())  # all of it anew
    assert wrong(stored_files(case.lake).findings) == []
    (found,) = wrong(since(case.lake, heads, "kept.json"))
    assert found.subject == "past of car_table"
    kept.write_text("[]")
    with pytest.raises(AuditError, match="is no export of an audit"):
        earlier_heads(kept)


def test_a_store_of_an_older_release_is_audited_by_its_rows_alone(case):
    for hashes in case.home.rglob("_hashes"):
        shutil.rmtree(hashes)
    for log in case.home.rglob("_delta_log/*.json"):
        text = log.read_text().replace('"hashes":"sha256",', "").replace(',"hashes":"sha256"', "")
        log.write_text(re.sub(r', \\"heads\\": {.*?}', "", text))
    audit = case.audit()
    assert wrong(audit.findings) == []
    assert {f.says.split(": ")[1] for f in audit.findings if f.holds is None} == {
        "an older release or another program wrote them, these commits carry no file hashes"
    }
    response(case)
    assert "responses brief at version 2: 12 rows that are not those committed; altered: " in case.problems()


def test_a_damaged_manifest_is_named_and_the_lakes_copy_leads_on(case):
    path = next(case.home.glob("checkpoints/a-brief/*/manifest.json"))
    whole = path.read_bytes()
    for damaged, says in (
        (whole.replace(b'"run"', b'"r\xffn"'), "is damaged: 'utf-8' codec can't decode byte 0xff"),
        (whole[:-2], "is damaged: Expecting"),
        (whole.replace(b'"origins"', b'"origims"'), "is damaged: origins: Field required"),
        (whole.replace(b'"kind": "sft"', b'"kind": "xyz"'), "is damaged: objective.kind: "),
        (whole.replace(b"\n  ", b"\n\t ", 1), "is not the file that was written"),
    ):
        assert damaged != whole
        path.write_bytes(damaged)
        assert f"{path} {says}" in case.problems()
        assert case.audit().rows.height == len(QUESTIONS)


def test_a_manifest_from_before_there_were_objectives_is_of_sft(case):
    def older(manifests: list[str]) -> list[str]:
        return [json.dumps({k: v for k, v in json.loads(m).items() if k != "objective"}) for m in manifests]

    rewrite(case, "tuned_checkpoint/run=a-brief", "manifest", older)
    audit = case.audit()
    assert "objective" not in audit.checkpoint.manifest
    (rows,) = (finding for finding in audit.findings if finding.subject == "rows of a-brief")
    assert rows.holds


def test_an_export_is_one_file_that_says_everything(made, tmp_path):
    file = tmp_path / "audit.json"
    export_audit(made.audit(), file)
    document = json.loads(file.read_text())
    assert document["verified"] is True
    assert len(document["rows"]) == document["manifest"]["rows"] == 12
    assert {row["source"] for row in document["rows"]} == {"questions"}
    assert {c["table"] for c in document["commits"]} >= {"responses", "raw_instructions", "selected_subset"}
    assert [path.name for path in tmp_path.iterdir()] == ["audit.json"]


def data_file(case: Case, partition: str) -> Path:
    (path,) = (case.home / partition).glob("*.parquet")
    return path


def rewrite(case: Case, partition: str, column: str, change: Callable[[list], list]) -> None:
    path = data_file(case, partition)
    table = parquet.read_table(path, partitioning=None)
    place = table.schema.get_field_index(column)
    field = table.schema.field(place)
    values = change(table.column(column).to_pylist())
    replace(path, table.set_column(place, field, pa.array(values, field.type)))


def replace(path: Path, table: pa.Table) -> None:
    """Another file under the same name, with its size in Delta's log: only the rows themselves tell."""
    size = path.stat().st_size
    parquet.write_table(table, path)
    table_folder = next(folder for folder in path.parents if (folder / "_delta_log").exists())
    for log in (table_folder / "_delta_log").glob("*.json"):
        lines = log.read_text().splitlines()
        changed = [
            line.replace(f'"size":{size}', f'"size":{path.stat().st_size}') if path.name in line else line
            for line in lines
        ]
        log.write_text("\n".join(changed) + "\n")


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0xFF
    path.write_bytes(bytes(data))
