"""Folders are published completely or not at all, and only once."""
# ruff: noqa: F811 - fixtures are imported

import threading
from pathlib import Path

import pytest
from pyarrow import fs

from preceptor.lake import folders
from preceptor.lake.folders import alone, exists, fetch, folder_uri, publish, read_manifest, workplace
from preceptor.lake.place import object_key
from preceptor.lake.store import Lake, LakeError
from tests.lake.test_s3 import s3_endpoint, s3_lake  # noqa: F401 - fixtures

FILES = {
    "manifest.json": '{"rows": 3}',
    "model.safetensors": "weights",
    "adapter/adapter.safetensors": "more",
}


def make_folder(place: Path, files=FILES) -> Path:
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return place


def contents(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_a_published_folder_is_at_its_uri(lake, tmp_path):
    uri = folder_uri(lake, "checkpoints", "run", "f1")
    assert not exists(lake, uri)
    publish(lake, make_folder(tmp_path / "made"), uri)
    assert uri == f"{tmp_path}/store/test/checkpoints/run/f1"
    assert exists(lake, uri)
    assert read_manifest(lake, uri) == '{"rows": 3}'
    assert fetch(lake, uri) == Path(uri)
    assert contents(fetch(lake, uri)) == FILES
    assert not (tmp_path / "made").exists()


def test_a_published_folder_is_not_replaced(lake, tmp_path):
    uri = folder_uri(lake, "f1")
    publish(lake, make_folder(tmp_path / "first"), uri)
    publish(lake, make_folder(tmp_path / "second", {"manifest.json": "other"}), uri)
    assert contents(Path(uri)) == FILES
    assert not (tmp_path / "second").exists()


def test_a_folder_without_a_manifest_is_not_published(lake, tmp_path):
    uri = folder_uri(lake, "f1")
    with pytest.raises(LakeError, match=r"holds no manifest\.json"):
        publish(lake, make_folder(tmp_path / "made", {"model.safetensors": "weights"}), uri)
    make_folder(Path(uri), {"model.safetensors": "stale"})
    assert not exists(lake, uri)
    with pytest.raises(LakeError, match=f"nothing is published at {uri}"):
        fetch(lake, uri)
    publish(lake, make_folder(tmp_path / "made"), uri)
    assert contents(Path(uri)) == FILES


class Killed(BaseException):
    """Simulates a kill."""


def test_a_kill_leaves_nothing_visible_and_the_next_publish_cleans_up(lake, tmp_path, monkeypatch):
    uri = folder_uri(lake, "run", "f1")
    synchronise = folders.synchronise

    def killed(folder):
        raise Killed

    monkeypatch.setattr(folders, "synchronise", killed)
    with pytest.raises(Killed):
        publish(lake, make_folder(tmp_path / "made"), uri)
    assert not exists(lake, uri)
    assert len(list(Path(uri).parent.glob(".incoming-*"))) == 1
    monkeypatch.setattr(folders, "synchronise", synchronise)
    publish(lake, make_folder(tmp_path / "again"), uri)
    assert sorted(path.name for path in Path(uri).parent.iterdir()) == [".lock", "f1"]


def test_all_files_reach_the_disk_before_the_folder_appears(lake, tmp_path, monkeypatch):
    uri, seen = folder_uri(lake, "run", "f1"), []
    monkeypatch.setattr(folders.os, "fsync", lambda descriptor: seen.append(Path(uri).exists()))
    publish(lake, make_folder(tmp_path / "made"), uri)
    # Before the rename: three files, the folder and its subfolder. After it: the parent folder.
    assert seen == [False] * 5 + [True]


def test_a_store_that_cannot_be_written_is_named(lake, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folders.shutil, "move", full)
    with pytest.raises(LakeError, match=r"cannot publish .*test/run/f1: .*No space left.* PRECEPTOR_STORE"):
        publish(lake, make_folder(tmp_path / "made"), folder_uri(lake, "run", "f1"))
    assert contents(tmp_path / "made") == FILES


def test_other_protocols_are_refused():
    lake = Lake("gs://bucket", "test")
    with pytest.raises(LakeError, match=r"gs://bucket: .*s3://"):
        exists(lake, folder_uri(lake, "f1"))


def test_only_one_thread_or_process_holds_a_folder(tmp_path, monkeypatch):
    waiting, order = threading.Semaphore(0), []
    monkeypatch.setattr(folders.log, "info", lambda message, place: waiting.release())

    def work():
        with alone(tmp_path / "place"):
            order.append("begins")
            order.append("ends")

    threads = [threading.Thread(target=work, daemon=True) for _ in range(2)]
    with alone(tmp_path / "place"):
        for thread in threads:
            thread.start()
        for _ in threads:
            assert waiting.acquire(timeout=60)  # each waiting thread logs that it waits
        assert order == []
    for thread in threads:
        thread.join()
    assert order == ["begins", "ends"] * 2


def test_unfinished_work_is_in_a_local_lake_or_in_the_cache(lake, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert workplace(lake, "tuning", "run") == tmp_path / "store" / "test" / "_work" / "tuning" / "run"
    one, other = Lake("s3://one/a", "test"), Lake("s3://other/a", "test")
    assert workplace(one, "tuning").is_relative_to(tmp_path / "cache" / "preceptor")
    assert workplace(one, "tuning") != workplace(other, "tuning")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.slow
def test_s3_folders_are_downloaded_once(s3_lake, cache, tmp_path, monkeypatch):
    uri = folder_uri(s3_lake, "checkpoints", "run", "f1")
    assert not exists(s3_lake, uri)
    publish(s3_lake, make_folder(tmp_path / "made"), uri)
    assert not (tmp_path / "made").exists()
    assert read_manifest(s3_lake, uri) == FILES["manifest.json"]
    copy = fetch(s3_lake, uri)
    assert copy.is_relative_to(cache)
    assert contents(copy) == FILES
    monkeypatch.setattr(folders, "_download", lambda *_: pytest.fail("downloaded again"))
    assert fetch(s3_lake, uri) == copy


@pytest.mark.slow
def test_an_s3_folder_exists_only_once_all_files_are_uploaded(s3_lake, cache, tmp_path, monkeypatch):
    uri = folder_uri(s3_lake, "f1")
    real, sent = fs.copy_files, []

    def killed(source, *rest):
        if len(sent) == 2:
            raise Killed
        sent.append(Path(source).name)
        real(source, *rest)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(fs, "copy_files", killed)
        publish(s3_lake, make_folder(tmp_path / "made"), uri)
    assert sent == ["adapter.safetensors", "model.safetensors"]  # the manifest would have been last
    assert not exists(s3_lake, uri)
    with pytest.raises(LakeError, match="nothing is published"):
        fetch(s3_lake, uri)
    publish(s3_lake, tmp_path / "made", uri)
    assert contents(fetch(s3_lake, uri)) == FILES


@pytest.mark.slow
def test_a_killed_download_is_not_used(s3_lake, cache, tmp_path, monkeypatch):
    uri = folder_uri(s3_lake, "f1")
    publish(s3_lake, make_folder(tmp_path / "made"), uri)

    def killed(*_, **__):
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(fs, "copy_files", killed)
        fetch(s3_lake, uri)
    copy = fetch(s3_lake, uri)
    assert contents(copy) == FILES
    assert not list(copy.parent.glob(".incoming-*"))


@pytest.mark.slow
def test_a_republished_s3_folder_is_downloaded_again(s3_lake, cache, tmp_path):
    uri = folder_uri(s3_lake, "f1")
    publish(s3_lake, make_folder(tmp_path / "made"), uri)
    fetch(s3_lake, uri)
    s3_lake.filesystem.delete_file(f"{object_key(uri)}/manifest.json")
    publish(
        s3_lake,
        make_folder(tmp_path / "made", FILES | {"manifest.json": "new", "model.safetensors": "w"}),
        uri,
    )
    assert contents(fetch(s3_lake, uri)) == FILES | {"manifest.json": "new", "model.safetensors": "w"}


@pytest.mark.slow
def test_a_missing_s3_bucket_is_named(s3_lake, tmp_path):
    lake = Lake("s3://nobody-made-this", "test")
    with pytest.raises(LakeError, match="cannot publish s3://nobody-made-this/test/f1"):
        publish(lake, make_folder(tmp_path / "made"), folder_uri(lake, "f1"))
