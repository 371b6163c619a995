"""The files that a run writes hold no API key and no markup from rows, and none is outside the store."""

import sqlite3
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import dagster as dg
import pytest
import yaml

from preceptor.lake import schemas
from preceptor.lake.store import Lake
from tests.endpoint.faulty_server import FaultyServer, refusal
from tests.endpoint.test_encodings import ENCODINGS
from tests.jobs.secrets_run import (
    SECRETS,
    run_against_repeating_server,
    run_study,
)
from tests.studies import document, write_study

FORMS = {
    name: {encode(value) for encode in ENCODINGS.values()} | {value[:20]} for name, value in SECRETS.items()
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("hostile") / "inside"


@pytest.fixture(scope="module")
def ran(folder) -> subprocess.CompletedProcess:
    folder.mkdir()
    return run_against_repeating_server(folder)


@pytest.fixture(scope="module")
def lake(folder, ran) -> Lake:
    return Lake(str(folder / "store"), "small")


def secrets_in(text: str) -> list[str]:
    return [name for name, forms in FORMS.items() if any(form in text for form in forms)]


def written(folder: Path):
    """(path, text) of every file: raw bytes, and Parquet files and databases also decoded."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes().decode("latin-1")
        if path.suffix == ".db":
            with sqlite3.connect(path) as database:
                yield path, "\n".join(database.iterdump())


def test_the_run_succeeds(ran):
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    assert "Report, one HTML file" in ran.stdout


def test_keys_that_the_endpoint_repeats_are_masked_in_the_rows(lake):
    errors = lake.read(schemas.RESPONSES, {"teacher": "remote"})["error"].drop_nulls().to_list()
    assert len(errors) == 6 and sum("[key]" in error for error in errors) == 5
    kept = lake.read(schemas.RESPONSES, {"teacher": "remote"})["turns"].list.first().drop_nulls()
    assert kept.str.contains("done [key]", literal=True).sum() >= 5
    judged = lake.read(schemas.REWARDS, {"reward_model": "judge"})["error"].drop_nulls()
    assert judged.str.contains("[key]", literal=True).sum() >= 4


def test_no_file_of_the_run_holds_a_key(folder, ran, lake):
    found = [(path, name) for path, text in written(folder) for name in secrets_in(text)]
    for table in schemas.TABLES.values():
        found += [(table.name, name) for name in secrets_in(str(lake.read(table).to_dicts()))]
    found += [("output", name) for name in secrets_in(ran.stdout + ran.stderr)]
    assert found == []


def test_a_refused_key_is_not_shown(tmp_path):
    write_study(tmp_path)
    study = document("small")
    with FaultyServer(lambda body, attempt: refusal(401, f"wrong key {SECRETS['OPENAI_API_KEY']}")) as server:
        study["teachers"][:] = [
            {"name": "remote", "engine": "openai", "model": "m", "base_url": server.url},
            *study["teachers"],
        ]
        study["recipes"] = []
        (tmp_path / "small.yaml").write_text(yaml.safe_dump(study))
        ran = run_study(tmp_path, tmp_path / "small.yaml")
    assert "the key is not accepted" in ran.stdout and "wrong key [key]" in ran.stdout
    found = [(path, name) for path, text in written(tmp_path) for name in secrets_in(text)]
    assert found == [] and not secrets_in(ran.stdout + ran.stderr)


def test_the_tables_hold_hostile_texts_unchanged(lake):
    instructions = lake.read(schemas.RAW_INSTRUCTIONS)
    assert instructions.height == 12
    assert all("<script>alert('x')</script>" in turns[0] for turns in instructions["turns"])
    responses = lake.read(schemas.RESPONSES)
    assert responses.group_by("teacher").len().height == 4
    assert any("DROP TABLE responses" in turns[0] for turns in responses["turns"] if len(turns))
    assert lake.read(schemas.CAR_TABLE).height == 4


def test_the_run_writes_no_file_outside_its_folders(folder, ran):
    assert {path.name for path in folder.parent.iterdir()} == {"inside"}
    assert not {path.name for path in folder.iterdir()} & {"outside", "passwd"}
    assert {path.name for path in (folder / "store").iterdir()} == {"small"}


class Tags(HTMLParser):
    def __init__(self, page: str):
        super().__init__()
        self.tags, self.attributes, self.scripts, self.inside = [], [], [], False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(name, value) for name, value in attributes]
        self.inside = tag == "script"

    def handle_data(self, data):
        if self.inside:
            self.scripts.append(data)

    def handle_endtag(self, tag):
        self.inside = False


def test_the_report_contains_no_markup_from_the_study_or_rows(folder, ran):
    page = (folder / "store" / "small" / "report.html").read_text()
    read = Tags(page)
    assert "alert(&#39;x&#39;)" in page  # the description and settings, escaped
    assert not {"img", "b", "iframe"} & set(read.tags)
    assert all(value[0] == "#" for name, value in read.attributes if name == "href")  # the list of contents
    assert not any(name.startswith("on") or "javascript:" in (value or "") for name, value in read.attributes)
    assert not any("alert('x')" in script and "<script" in script for script in read.scripts)


def test_no_row_breaks_a_metadata_table_in_dagster(folder, ran, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(folder / "dagster"))
    tables = 0
    with dg.DagsterInstance.get() as instance:
        for key in instance.all_asset_keys():
            for record in instance.fetch_materializations(key, limit=50).records:
                for value in record.asset_materialization.metadata.values():
                    if isinstance(value, dg.MarkdownMetadataValue) and value.value.startswith("| "):
                        tables += 1
                        widths = {len(unescaped(line)) for line in value.value.split("\n")}
                        assert len(widths) == 1, value.value
                        assert "<script" not in value.value and "<img" not in value.value
    assert tables > 10


def unescaped(line: str) -> list[str]:
    return line.replace("\\|", "").split("|")
