"""A step's inputs: files that only an evaluation names, rows on a hub, tables; and receipts."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import yaml

from preceptor.judging import prompt_file
from preceptor.lake.ledger import entry_name
from preceptor.lake.schemas import RESPONSES
from preceptor.lake.store import Lake
from preceptor.study.load import load_study
from preceptor.unchanged.receipt import Receipt, read_receipt, receipt_path, write_receipt
from preceptor.unchanged.state import Inputs, State, inputs_of, state_of
from preceptor.unchanged.tables import DoubtError, LiveTables
from tests.studies import document, with_runs, write_benchmarks, write_study

BUILT_IN = Path(prompt_file.__file__).with_name("prompts") / "duel.yaml"
A_BRIEF = {"run": "a-brief", "benchmark": "duels"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    write_study(folder)
    write_benchmarks(folder)
    (folder / "words.yaml").write_bytes(BUILT_IN.read_bytes())
    (folder / "gamed").mkdir()
    for name in ("df_gamed.csv", "instruction_difficulty.csv"):
        (folder / "gamed" / name).write_text("1\n")
    return folder


def study_with(folder: Path, **changed: object):
    study = with_runs(document("small"))
    judge = {"name": "asked", "engine": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "m"}
    study["evaluations"][1] |= {"judge": judge | {"prompt": "words.yaml"}, "length_control": "gamed"}
    study |= changed
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    return load_study(folder / "study.yaml")


def test_an_evaluation_depends_on_each_file_that_it_names(folder, lake):
    study, tables = study_with(folder), LiveTables(lake)
    before = inputs_of(study, "eval_results", A_BRIEF, tables)
    assert before is not None
    assert before == inputs_of(study, "eval_results", A_BRIEF, tables)
    for name in ("reference.jsonl", "words.yaml", "gamed/df_gamed.csv"):
        file = folder / name
        content = file.read_bytes()
        file.write_bytes(content.replace(b"e", b"E", 1) if name != "gamed/df_gamed.csv" else b"2\n")
        found = inputs_of(study, "eval_results", A_BRIEF, tables)
        assert found is None or found.made_of != before.made_of, name
        file.write_bytes(content)
    assert inputs_of(study, "eval_results", A_BRIEF, tables) == before


def test_rows_on_a_hub_are_unchanged_only_at_a_fixed_commit(folder, lake):
    source = {"name": "hub", "dataset": "some/where", "format": "alpaca"}
    for revision, known in ((None, False), ("main", False), ("0" * 40, True)):
        sources = [source | ({} if revision is None else {"revision": revision})]
        study = study_with(folder, instructions={"sources": sources})
        found = inputs_of(study, "raw_instructions", {}, LiveTables(lake))
        assert (found is not None) == known, revision


def test_a_state_that_cannot_be_determined_is_none(folder, lake):
    study, tables = study_with(folder), LiveTables(lake)
    for asset, key in (
        ("car_table", {}),  # nothing to rank yet
        ("responses", {"teacher": "nobody"}),
        ("eval_results", {"run": "nobody", "benchmark": "duels"}),
        ("another", {}),
    ):
        assert state_of(study, asset, key, tables) is None
        assert inputs_of(study, asset, key, tables) is None


def publish(lake: Lake, teacher: str, texts: list[str]) -> None:
    rows = pl.DataFrame(
        {
            "response_id": [f"{teacher}{n}" for n in range(len(texts))],
            "instruction_id": [str(n) for n in range(len(texts))],
            "prompt_hash": "p",
            "sample": 0,
            "turns": [[text] for text in texts],
        }
    ).with_columns(pl.lit(None).alias(c) for c in ("source_id", "finish_reason", "error"))
    rows = rows.with_columns(prompt_tokens=None, response_tokens=None)
    lake.publish(RESPONSES, RESPONSES.conform(rows), {"teacher": teacher}, "mark")


def test_a_partition_is_identified_by_its_own_files(lake):
    assert LiveTables(lake).files(RESPONSES, {}) == []
    publish(lake, "a", ["one"])
    a = LiveTables(lake).files(RESPONSES, {"teacher": "a"})
    publish(lake, "b", ["two"])
    tables = LiveTables(lake)
    assert tables.files(RESPONSES, {"teacher": "a"}) == a
    assert set(a) < set(tables.files(RESPONSES, {}))
    assert not tables.replaced(RESPONSES, {"teacher": "a"}, 1)
    publish(lake, "a", ["three"])
    assert LiveTables(lake).replaced(RESPONSES, {"teacher": "a"}, 1)
    assert not LiveTables(lake).replaced(RESPONSES, {"teacher": "b"}, 2)
    assert tables.files(RESPONSES, {"teacher": "a"}) == a  # cached until forget()
    tables.forget()
    assert tables.files(RESPONSES, {"teacher": "a"}) != a
    guard = Path(lake.uri(RESPONSES), entry_name(lake.version(RESPONSES)))
    guard.unlink()
    with pytest.raises(DoubtError, match="no hashes"):
        LiveTables(lake).files(RESPONSES, {"teacher": "b"})


STATE = State(Inputs("code", "settings", "rows"), "written", ("a", "b"))


def test_shared_files_may_be_added_but_not_removed():
    assert STATE.holds(replace(STATE, shared=("b", "c", "a")))
    assert not STATE.holds(replace(STATE, shared=("a", "c")))
    assert not STATE.holds(replace(STATE, written="other"))
    for part in ("made_by", "made_of", "read"):
        assert not STATE.holds(replace(STATE, inputs=replace(STATE.inputs, **{part: "other"})))


def test_a_receipt_is_read_back_and_a_damaged_one_is_none(tmp_path):
    place = receipt_path(tmp_path, "rewards", "scores|a.b")
    assert place == tmp_path / "receipts" / "rewards" / "scores,a.b.json"
    receipt = Receipt(STATE, datetime.now(UTC), 12, 1, "why", "accuracy", (("rewards.finite", "no"),))
    write_receipt(place, receipt)
    assert read_receipt(place) == receipt
    whole = json.loads(place.read_text())
    for broken in (
        "",
        "[]",
        "{",
        *(json.dumps({k: v for k, v in whole.items() if k != key}) for key in whole),
    ):
        place.write_text(broken)
        if read_receipt(place) is not None:  # fields with a default may be missing
            assert not {"state", "time", "rows", "warnings"} - json.loads(broken).keys()
    assert read_receipt(tmp_path / "nowhere") is None


def test_a_receipt_is_valid_for_its_time_and_never_from_the_future():
    def made(age: timedelta) -> Receipt:
        return Receipt(STATE, datetime.now(UTC) - age, 1)

    assert made(timedelta(days=400)).holds_for(None)
    assert made(timedelta(days=6)).holds_for(timedelta(days=7))
    assert not made(timedelta(days=8)).holds_for(timedelta(days=7))
    assert not made(timedelta(hours=-1)).holds_for(None)
