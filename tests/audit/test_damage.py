"""An audit finds every kind of damage to a store and names the damaged file."""

import re
import shutil

import polars as pl
import pytest

from preceptor.audit.finding import wrong
from preceptor.audit.ranking import audit_ranking
from preceptor.audit.stored import stored_files
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
from resources.warehouse import SQL
from tests.audit.damage import (
    added_file,
    choice,
    damaged_byte,
    data_file,
    declared_in_the_log,
    exchanged_file,
    fewer_rows,
    instruction,
    loss,
    lost_file,
    lost_table,
    lost_version,
    manifest,
    response,
    reward,
    settings_in_the_log,
    silent_commit,
    vacuumed_file,
    weights,
)
from tests.studies import QUESTIONS


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (weights, r"checkpoint a-brief .*/model\.safetensors "),
        (lost_file, r"checkpoint a-brief .*/tokenizer\.json .*gone"),
        (added_file, r"checkpoint a-brief .*/extra\.py .*manifest"),
        (manifest, r"checkpoint a-brief .*/manifest\.json .*seed"),
        (response, r"responses brief at version 2: 12 rows .*altered: .*teacher=brief"),
        (instruction, r"raw_instructions at version 1: 12 rows .*altered: .*raw_instructions/"),
        (reward, r"rewards scores × brief at version 2: 12 rows .*reward_model=scores/teacher=brief/"),
        (loss, r"base_losses base-a × brief at version 2: 12 rows .*base=base-a/teacher=brief/"),
        (choice, r"selected_subset of-brief at version 2: 12 rows .*recipe=of-brief/"),
        (fewer_rows, r"responses brief at version 2: 11 rows .*12"),
        (exchanged_file, r"teacher=brief/.*\.snappy\.parquet .*size"),
        (damaged_byte, r"teacher=brief/.*\.snappy\.parquet .*damaged"),
        (vacuumed_file, r"rewards/.*\.snappy\.parquet .*gone"),
        (lost_version, "responses"),
        (lost_table, r"rewards at version 2: .*gone.*selected_subset"),
        (silent_commit, r"responses brief .*12 rows .*manifest.*commit"),
        (settings_in_the_log, r"responses brief at version 2: .*settings"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_damage_is_found_and_named(case, damage, expected):
    assert case.problems() == ""
    damage(case)
    assert re.search(expected, case.problems())
    assert "DO NOT MATCH" in list(audit_text(case.audit()))[-1]


def test_swapped_and_removed_files_are_named_each(case):
    """Each swapped file is valid, so only hashes reveal it. The model was not made from this table."""
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
    assert f"{first} is gone" in case.problems()
    late.unlink()
    assert f"{late} is gone" in case.problems()


@pytest.mark.parametrize("table", ["raw_instructions", "responses", "rewards", "base_losses", "car_table"])
def test_a_table_whose_last_commit_was_rolled_back_is_named(case, table):
    """Log entry, hashes and data are removed together. The table looks intact, but others need its rows."""
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
    problem = f"{case.home}/{table}/{entry_name(newest)} is gone"
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
    assert f"{page} has no hash" in unknown.says


def test_an_altered_response_and_the_run_tuned_on_it_are_named(case):
    first = case.lake.read(RESPONSES, {"teacher": "brief"})["response_id"][0]
    response(case)
    problems = case.problems()
    assert re.search(rf"{first}.*{data_file(case, 'responses/teacher=brief')}", problems)
    assert "rows of a-brief: " in problems


def test_changed_declared_settings_of_a_commit_are_found_and_not_shown(case):
    log = declared_in_the_log(case)
    for audit in (case.audit(), audit_ranking(case.lake, SQL)):
        text = "\n".join(audit_text(audit))
        assert str(log) in text
        assert re.search("teacher brief: 12 rows.*commit", text)
        assert "of-a-liar" not in text


def test_a_newest_commit_rewritten_with_its_hashes_is_found_by_what_was_made_from_it(case):
    """No later version in the table reveals it, but the commits made from it hold its head."""
    log = declared_in_the_log(case)
    files = case.lake.files(RESPONSES)
    version = max(int(path.stem) for path in (case.home / "responses/_hashes").glob("*.json"))
    for number in range(int(log.stem), version + 1):
        (case.home / "responses" / entry_name(number)).unlink()
    record(files, version)
    (past,) = wrong(stored_files(case.lake).findings)
    assert past.subject == "history of responses"
    found = [str(finding) for finding in wrong(case.audit().findings)]
    assert any(entry_name(version) in text for text in found)


def test_a_store_of_an_older_release_is_audited_by_its_rows_alone(case):
    for hashes in case.home.rglob("_hashes"):
        shutil.rmtree(hashes)
    for log in case.home.rglob("_delta_log/*.json"):
        text = log.read_text().replace('"hashes":"sha256",', "").replace(',"hashes":"sha256"', "")
        log.write_text(re.sub(r', \\"heads\\": {.*?}', "", text))
    audit = case.audit()
    assert wrong(audit.findings) == []
    unsure = {f.says.split(": ")[1] for f in audit.findings if f.holds is None}
    assert len(unsure) == 1 and "no file hashes" in unsure.pop()
    response(case)
    assert re.search("responses brief at version 2: 12 rows .*altered: ", case.problems())


def test_a_damaged_manifest_is_named_and_the_audit_uses_the_lakes_copy(case):
    path = next(case.home.glob("checkpoints/a-brief/*/manifest.json"))
    whole = path.read_bytes()
    for damaged, says in (
        (whole.replace(b'"run"', b'"r\xffn"'), "is damaged: .*0xff"),
        (whole[:-2], "is damaged: "),
        (whole.replace(b'"origins"', b'"origims"'), "is damaged: origins: "),
        (whole.replace(b'"kind": "sft"', b'"kind": "xyz"'), "is damaged: objective.kind: "),
        (whole.replace(b"\n  ", b"\n\t ", 1), "is not the file that was written"),
    ):
        assert damaged != whole
        path.write_bytes(damaged)
        assert re.search(f"{path} {says}", case.problems())
        assert case.audit().rows.height == len(QUESTIONS)
