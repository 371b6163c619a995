"""Vacuum removes only files that nothing needs. After it, every audit still passes."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from preceptor.audit.changes import ranking_change
from preceptor.audit.checkpoint import audit_checkpoint
from preceptor.audit.evaluation import audit_evaluation
from preceptor.audit.finding import wrong
from preceptor.lake.schemas import CAR_TABLE, RESPONSES, REWARDS, SELECTED_SUBSET, Table
from preceptor.lake.store import Lake, LakeError
from preceptor.lake.vacuum import vacuum
from resources.warehouse import SQL
from tests.audit.lakes import rank, reload, small_document, tune, write_small
from tests.lake.test_s3 import s3_endpoint, s3_lake  # noqa: F401 - fixtures
from tests.studies import QUESTIONS, lines

PARTITION = {"reward_model": "r", "teacher": "t"}


def answer(folder: Path, word: str) -> None:
    rows = [{"instruction": question, "response": word} for question in QUESTIONS]
    lines(folder / "brief.jsonl", rows)


@pytest.fixture(scope="module")
def aged(tmp_path_factory) -> Path:
    """A tuned study whose teacher changed twice without tuning, so nothing needs the version between."""
    folder = tmp_path_factory.mktemp("aged")
    study = write_small(folder)
    lake = Lake(str(folder / "store"), "small")
    rank(study, lake)
    tune(study, lake)
    for word in ("No.", "Perhaps."):
        answer(folder, word)
        rank(reload(folder / "small.yaml", small_document()), lake)
    return folder


@pytest.fixture
def lake(aged, tmp_path) -> Lake:
    shutil.copytree(aged / "store", tmp_path / "store")
    return Lake(str(tmp_path / "store"), "small")


def files(lake: Lake) -> set[str]:
    return {str(path.relative_to(lake.home)) for path in Path(lake.home).rglob("*.parquet")}


def test_only_unneeded_files_are_removed(lake):
    before = files(lake)
    listed = vacuum(lake, 0)
    assert files(lake) == before  # a dry run removes nothing
    removed = vacuum(lake, 0, dry_run=False)
    assert removed == listed
    gone = before - files(lake)
    # The second of three answers of `brief`: its responses, rewards and losses. A model needs the first.
    tables = sorted(path.split("/")[0] for path in gone if not path.startswith("_staging"))
    assert tables == ["base_losses", "responses", "rewards"]
    assert all("teacher=brief" in path for path in gone if not path.startswith("_staging"))
    assert sum(len(removal.files) for removal in removed) == len(gone)
    for run in ("a-brief", "a-chatty"):
        assert wrong(audit_checkpoint(lake, SQL, run).findings) == []
        assert wrong(audit_evaluation(lake, SQL, run, "sums").findings) == []
    assert not ranking_change(lake, SQL).teachers.is_empty()
    assert lake.read(RESPONSES, {"teacher": "brief"})["turns"].list.first().unique().to_list() == ["Perhaps."]
    assert vacuum(lake, 0) == []


def test_recent_files_stay(lake):
    assert vacuum(lake, 24) == []


def test_the_rows_of_a_model_without_a_folder_are_removed(lake, aged):
    old = [path.parent for path in Path(lake.home, "checkpoints").glob("*/*/manifest.json")]
    # Tune again on `brief`'s current answers. The other recipe gets fewer rows, so it is selected again too:
    # a current selection keeps all rows of the version that it was made from.
    study = small_document()
    study["recipes"][1] |= {"rows": len(QUESTIONS) - 1}
    tune(reload(aged / "again.yaml", study), lake)
    vacuum(lake, 0, dry_run=False)
    assert lake.read(RESPONSES, {"teacher": "brief"}, version=2).height == len(QUESTIONS)
    for folder in old:
        shutil.rmtree(folder)
    vacuum(lake, 0, dry_run=False)
    with pytest.raises(LakeError, match="cannot be read"):
        lake.read(RESPONSES, {"teacher": "brief"}, version=2)
    assert lake.read(RESPONSES, {"teacher": "chatty"}, version=2).height == len(QUESTIONS)
    assert wrong(audit_checkpoint(lake, SQL, "a-brief").findings) == []


@pytest.mark.parametrize("text", ["{", "{}", json.dumps({"origins": {"partitions": None}})])
def test_a_manifest_without_origins_stops_the_vacuum(lake, text):
    before = files(lake)
    next(Path(lake.home, "checkpoints", "a-brief").glob("*/manifest.json")).write_text(text)
    with pytest.raises(LakeError, match=r"manifest\.json does not name .*\(\w+: "):
        vacuum(lake, 0, dry_run=False)
    assert files(lake) == before


def test_rows_named_by_a_manifest_stay_even_without_commit_metadata(lake):
    shutil.rmtree(Path(lake.uri(RESPONSES), "_hashes"))  # no hashes either, as in a store of an older release
    for log in Path(lake.uri(RESPONSES), "_delta_log").glob("*.json"):
        log.write_text(log.read_text().replace('"preceptor":', '"another":'))
    vacuum(lake, 0, dry_run=False)
    assert lake.read(RESPONSES, {"teacher": "brief"}, version=2).height == len(QUESTIONS)


def test_the_inputs_of_an_old_ranking_stay_while_a_model_depends_on_it(tmp_path):
    lake = Lake(str(tmp_path / "store"), "small")
    first = one(lake, REWARDS, {}, PARTITION)
    ranked = one(lake, CAR_TABLE, {"rewards": first})
    second = one(lake, REWARDS, {}, PARTITION)
    chosen = one(lake, SELECTED_SUBSET, {"car_table": ranked, "rewards": second}, {"recipe": "best"})
    one(lake, CAR_TABLE, {"rewards": one(lake, REWARDS, {}, PARTITION)})
    one(lake, SELECTED_SUBSET, {}, {"recipe": "best"})
    origin = {"table": "selected_subset", "partition": {"recipe": "best"}, "version": chosen}
    folder = tmp_path / "store/small/checkpoints/run/fingerprint"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"origins": {"partitions": [origin]}}))
    assert vacuum(lake, 0, dry_run=False) == []
    assert lake.read(REWARDS, PARTITION, version=first).height == 1
    shutil.rmtree(folder)
    assert {removal.table: len(removal.files) for removal in vacuum(lake, 0, dry_run=False)} == {
        "rewards": 2,
        "selected_subset": 1,
    }


def one(lake: Lake, table: Table, read: dict[str, int], partition: dict[str, str] | None = None) -> int:
    """Publish a row of nulls. Returns its version."""
    row = pl.DataFrame([dict.fromkeys(table.row_schema)], schema=table.row_schema)
    return lake.made_from(read).publish(table, row, partition or {}, "made").version


def test_files_of_an_interrupted_commit_are_removed(lake):
    torn = Path(lake.uri(RESPONSES), "teacher=brief", "part-torn.parquet")
    torn.write_bytes(b"half")
    assert vacuum(lake, 24) == []
    assert any("teacher=brief/part-torn.parquet" in removal.files for removal in vacuum(lake, 0))


@pytest.mark.slow
def test_it_works_on_s3(s3_lake):  # noqa: F811
    row = {"response_id": "x", "instruction_id": "i", "sample": 0, "error": None}
    for reward in (1.0, 2.0):
        frame = REWARDS.conform(pl.DataFrame([row | {"reward": reward}]))
        s3_lake.publish(REWARDS, frame, PARTITION, f"{reward}")
    (removal,) = vacuum(s3_lake, 0, dry_run=False)
    assert (removal.table, len(removal.files)) == ("rewards", 1)
    assert s3_lake.read(REWARDS)["reward"].to_list() == [2.0]
