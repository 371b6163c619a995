"""Identities of steps, files, folders and models."""

import os
from pathlib import Path

import pytest
from huggingface_hub import constants

from preceptor.fingerprint import file_identity, fingerprint, model_identity

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def write(path: Path, text: str, time: int = 1) -> Path:
    """Write a file whose modification time is chosen: two writes within one clock tick stay apart."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (time, time))
    return path


@pytest.fixture
def model_folder(tmp_path) -> Path:
    write(tmp_path / "model" / "config.json", "{}")
    write(tmp_path / "model" / "shards" / "1.safetensors", "weights")
    return tmp_path / "model"


@pytest.fixture
def hub_cache(tmp_path, monkeypatch) -> Path:
    """An empty local cache of the hub, and no way to reach the hub itself."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def cached_model(hub_cache: Path, name: str, revision: str) -> None:
    root = hub_cache / f"models--{name.replace('/', '--')}"
    write(root / "refs" / revision, COMMIT)
    write(root / "blobs" / "abc", "{}")
    (root / "snapshots" / COMMIT).mkdir(parents=True)
    (root / "snapshots" / COMMIT / "config.json").symlink_to(root / "blobs" / "abc")


def test_fingerprint_hangs_on_step_version_and_every_part_but_not_on_their_order():
    one = fingerprint("losses", 1, a=1, b={"x": 1, "y": None})
    assert one == fingerprint("losses", 1, b={"y": None, "x": 1}, a=1)
    others = [
        fingerprint("rewards", 1, a=1, b={"x": 1, "y": None}),
        fingerprint("losses", 2, a=1, b={"x": 1, "y": None}),
        fingerprint("losses", 1, a="1", b={"x": 1, "y": None}),
        fingerprint("losses", 1, a=1, b={"x": 1, "y": 0}),
        fingerprint("losses", 1, a=1, b={"x": 1}),
    ]
    assert len({one, *others}) == 6


def test_a_files_identity_is_its_content_and_not_its_name_or_time(tmp_path):
    first = file_identity(write(tmp_path / "a", "text", time=1))
    assert file_identity(write(tmp_path / "a", "text", time=2)) == first
    assert file_identity(write(tmp_path / "b", "text", time=3)) == first
    assert file_identity(write(tmp_path / "a", "tex!", time=4)) != first


def test_a_folders_identity_is_its_files_names_and_contents_and_not_their_times(model_folder):
    first = file_identity(model_folder)
    write(model_folder / "config.json", "{}", time=9)
    assert file_identity(model_folder) == first
    write(model_folder / "shards" / "1.safetensors", "WEIGHTS", time=9)
    changed = file_identity(model_folder)
    (model_folder / "config.json").rename(model_folder / "other.json")
    renamed = file_identity(model_folder)
    write(model_folder / "tokenizer.json", "{}")
    assert len({first, changed, renamed, file_identity(model_folder)}) == 4


def test_moving_a_folder_keeps_its_identity(model_folder, tmp_path):
    first = file_identity(model_folder)
    assert file_identity(model_folder.rename(tmp_path / "moved")) == first


def test_hidden_files_do_not_count(model_folder):
    first = file_identity(model_folder)
    write(model_folder / ".gitattributes", "x")
    assert file_identity(model_folder) == first


def test_files_in_hidden_folders_do_not_count(model_folder):
    # `hf download --local-dir` leaves .cache/huggingface/download/*.metadata, which holds the time.
    first = file_identity(model_folder)
    write(model_folder / ".cache" / "huggingface" / "download" / "config.json.metadata", "1700000000")
    assert file_identity(model_folder) == first


def test_a_hidden_parent_folder_does_not_hide_what_is_in_it(tmp_path):
    write(tmp_path / ".models" / "base" / "config.json", "{}")
    first = file_identity(tmp_path / ".models" / "base")
    write(tmp_path / ".models" / "base" / "config.json", "{ }", time=2)
    assert file_identity(tmp_path / ".models" / "base") != first


def test_a_model_folder_is_known_by_its_content_whatever_the_revision(model_folder):
    identity = model_identity(str(model_folder), "main")
    assert identity == model_identity(str(model_folder), "other") == f"sha256:{file_identity(model_folder)}"


def test_a_model_folder_that_changes_is_another_model_in_the_same_process_too(model_folder):
    before = model_identity(str(model_folder), "main")
    write(model_folder / "shards" / "1.safetensors", "other weights", time=2)
    assert model_identity(str(model_folder), "main") != before


def test_a_commit_hash_needs_no_hub(hub_cache):
    assert model_identity("org/pinned", COMMIT) == f"org/pinned@{COMMIT}"
    assert not hub_cache.exists()


@pytest.mark.parametrize("revision", ["main", "v1.0"])
def test_a_cached_revision_stands_for_its_commit(hub_cache, revision):
    cached_model(hub_cache, f"org/cached-{revision}", revision)
    assert model_identity(f"org/cached-{revision}", revision) == f"org/cached-{revision}@{COMMIT}"


@pytest.mark.parametrize(
    ("name", "revision"), [("org/absent", "main"), ("org/half", "v2"), ("org/half", COMMIT[:-1])]
)
def test_what_is_neither_cached_nor_reachable_is_refused_in_one_sentence(hub_cache, name, revision):
    cached_model(hub_cache, "org/half", "main")
    with pytest.raises(ValueError, match="neither in the local cache nor reachable") as refusal:
        model_identity(name, revision)
    assert name in str(refusal.value)
    assert revision in str(refusal.value)
    assert "use a local folder (./folder), or download the model first" in str(refusal.value)
