"""A store is at the given path. A path that its URL would change is refused before anything is written."""

from pathlib import Path

import pytest

from preceptor.lake.folders import file_sizes, publish, published
from preceptor.lake.schemas import REWARDS
from preceptor.lake.store import Lake, LakeError, store_root
from preceptor.lake.warehouse import Warehouse
from tests.lake.samples import partition, rewards

SQL = Path(__file__).parents[2] / "sql"
FINE = [
    "50%",
    "%zz",
    "a b#1?x=y&z",
    "é日😀 e\u0301\u00a0",
    "a~a+b=c;d:e@f,g",
    "'\"<>{}`$*!()",
    ".hidden ",
    "-x",
]
CHANGED = ["my%20store", "%2F", "%2e%2e", "%C3%A9", "[a]", "a|b", "^", "a\\b", "a\nb", "\t", "\x7f"]


@pytest.mark.parametrize("name", FINE)
@pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])
def test_rows_and_folders_are_read_back_from_a_store_of_any_name(tmp_path, monkeypatch, name, relative):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PRECEPTOR_STORE", name if relative else str(tmp_path / name))
    lake = Lake(store_root(), "a+b_1.x-y")
    for rows in (3, 2):
        lake.publish(REWARDS, rewards(rows), partition("a"), "f")
    warehouse = Warehouse(lake, SQL)
    warehouse.attach(REWARDS)
    assert lake.read(REWARDS).height == warehouse.rows("rewards").height == 2
    (tmp_path / name / "model").mkdir()
    (tmp_path / name / "model" / "manifest.json").write_text("{}")
    publish(lake, tmp_path / name / "model", f"{lake.home}/checkpoints/m")
    assert published(lake, "checkpoints") == [f"{lake.home}/checkpoints/m"]
    assert len(file_sizes(lake, lake.uri(REWARDS))) > 2
    assert list(tmp_path.iterdir()) == [tmp_path / name]
    assert list((tmp_path / name).iterdir()) == [tmp_path / name / lake.study]


def refused():
    return pytest.raises(LakeError, match=r"path of a store .*set PRECEPTOR_STORE")


@pytest.mark.parametrize("name", CHANGED)
def test_a_path_that_a_url_would_change_is_refused_before_anything_is_written(tmp_path, monkeypatch, name):
    (tmp_path / name).mkdir(parents=True)
    for place in (str(tmp_path / name / "store"), "store"):
        monkeypatch.chdir(tmp_path / name)
        lake = Lake(place, "test")
        with refused():
            lake.publish(REWARDS, rewards(), partition(), "f")
        with refused():
            lake.read(REWARDS)
        assert list((tmp_path / name).iterdir()) == []


@pytest.mark.parametrize("key", ["%20", "a#b", "a?b", "[a]", "a|b", "a//b", "..", "a/../b", "./a", "a\nb"])
def test_a_key_that_a_url_would_change_is_refused(key):
    with refused():
        Lake(f"s3://bucket/{key}", "test").uri(REWARDS)
    assert Lake("s3://bucket/a b.c/..d%/", "test").home == "s3://bucket/a b.c/..d%/test"


def test_another_protocol_or_an_unknown_users_home_is_refused():
    for root in ("file:///tmp/x", "gs://bucket", "mya://b"):
        with pytest.raises(LakeError, match=rf"{root}: .*s3://"):
            Lake(root, "test").uri(REWARDS)
    with pytest.raises(LakeError, match=r"~nobody-of-this-name/store: the user"):
        Lake("~nobody-of-this-name/store", "test").uri(REWARDS)


def test_a_path_through_a_link_and_its_parent_is_resolved_as_on_disk(tmp_path, monkeypatch):
    (tmp_path / "deep" / "folder").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "folder")
    lake = Lake(f"{tmp_path}/link/../store", "test")
    lake.publish(REWARDS, rewards(2), partition("a"), "f")
    assert lake.read(REWARDS).height == 2
    assert (tmp_path / "deep" / "store" / "test" / "rewards").is_dir()
    monkeypatch.setenv("PRECEPTOR_STORE", "")
    assert store_root() == "store"
