"""Teacher files under an S3 prefix: only changes are copied, and the copy works while S3 is unreachable."""

import time

import boto3
import pytest

from preceptor.lake.mirror import mirrored
from preceptor.study.load import StudyError, read_study
from tests.lake.test_s3 import s3_endpoint, s3_lake  # noqa: F401 - fixtures
from tests.study.documents import VALID, write

pytestmark = pytest.mark.slow
TEACHER = "name: {}\nengine: recorded\npath: said/{}.jsonl\n"


@pytest.fixture
def bucket(s3_lake, s3_endpoint, tmp_path, monkeypatch):  # noqa: F811
    """A bucket to put objects into, and a temporary cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    client = boto3.client("s3", region_name="us-east-1", endpoint_url=s3_endpoint)
    name = s3_lake.root.split("/")[2]

    class Bucket:
        uri = f"s3://{name}/some/teachers"

        def put(self, key, text):
            client.put_object(Bucket=name, Key=f"some/teachers/{key}", Body=text.encode())

        def delete(self, key):
            client.delete_object(Bucket=name, Key=f"some/teachers/{key}")

    return Bucket()


def add(bucket, name):
    bucket.put(f"said/{name}.jsonl", "{}")
    bucket.put(f"{name}.yaml", TEACHER.format(name, name))


def read(folder, bucket):
    return read_study(write(folder, VALID.replace("bases:\n", f"teacher_files: {bucket.uri}\nbases:\n", 1)))


def names(found):
    return [teacher.name for teacher in found.study.teachers][3:]


def away(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")


def test_teachers_and_the_files_beside_them_are_added_and_removed_together(tmp_path, bucket):
    add(bucket, "a")
    add(bucket, "b")
    found = read(tmp_path, bucket)
    assert (names(found), found.left_out) == (["a", "b"], ())
    bucket.delete("a.yaml")
    assert names(read(tmp_path, bucket)) == ["b"]


def test_only_what_changed_is_fetched_again(bucket):
    add(bucket, "a")
    add(bucket, "b")
    folder = mirrored(bucket.uri).folder
    before = {path.name: path.stat().st_ino for path in folder.rglob("*.*l*")}
    time.sleep(1.1)  # S3's times are in seconds
    bucket.put("b.yaml", TEACHER.format("c", "b"))
    assert mirrored(f"{bucket.uri}/").folder == folder
    after = {path.name: path.stat().st_ino for path in folder.rglob("*.*l*")}
    assert {name for name in after if before[name] != after[name]} == {"b.yaml"}
    assert (folder / "b.yaml").read_text() == TEACHER.format("c", "b")


def test_a_bad_object_is_named_by_its_address(tmp_path, bucket):
    add(bucket, "a")
    bucket.put("bad.yaml", "name: bad\nengine: recorded\npath: gone.jsonl\n")
    found = read(tmp_path, bucket)
    assert names(found) == ["a"]
    assert f"{bucket.uri}/bad.yaml:3: path: 'gone.jsonl' is " in found.left_out[0]


def test_while_s3_is_unreachable_the_last_copy_is_used_with_a_warning(tmp_path, bucket, monkeypatch):
    add(bucket, "a")
    assert names(read(tmp_path, bucket)) == ["a"]
    away(monkeypatch)
    found = read(tmp_path, bucket)
    assert names(found) == ["a"]
    (text,) = found.left_out
    assert f"{bucket.uri} cannot be read: " in text
    assert "last copy" in text


def test_an_s3_that_was_never_reached_is_an_error_with_a_fix(tmp_path, bucket, monkeypatch):
    away(monkeypatch)
    with pytest.raises(StudyError, match=rf"teacher_files: {bucket.uri} cannot be read: .*AWS_\* variables"):
        read(tmp_path, bucket)


def test_a_missing_prefix_or_bucket_removes_no_teacher(tmp_path, bucket):
    with pytest.raises(StudyError, match="cannot be read"):
        read(tmp_path, bucket)
    add(bucket, "a")
    read(tmp_path, bucket)
    for key in ("a.yaml", "said/a.jsonl"):
        bucket.delete(key)
    found = read(tmp_path, bucket)
    assert names(found) == ["a"]
    assert len(found.left_out) == 1


def test_a_key_that_leaves_the_prefix_is_ignored(tmp_path, bucket):
    add(bucket, "a")
    bucket.put("../../../../planted.yaml", "evil")
    bucket.put("said/../../planted.yaml", "evil")
    bucket.put(".lock", "evil")
    found = read(tmp_path, bucket)
    assert names(found) == ["a"]
    assert list(tmp_path.rglob("planted.yaml")) == []


def test_a_copy_that_was_interrupted_is_finished_by_the_next(bucket, monkeypatch):
    add(bucket, "a")
    from pyarrow import fs

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fs, "copy_files", stop)
        with pytest.raises(KeyboardInterrupt):
            mirrored(bucket.uri)
    mirror = mirrored(bucket.uri)
    files = sorted(p.relative_to(mirror.folder).as_posix() for p in mirror.folder.rglob("*") if p.is_file())
    assert files == [".lock", "a.yaml", "said/a.jsonl"]


def test_an_object_may_become_a_folder_and_a_folder_an_object(bucket):
    bucket.put("a", "text")
    folder = mirrored(bucket.uri).folder
    bucket.delete("a")
    bucket.put("a/b.yaml", "text")
    assert mirrored(bucket.uri).problem is None
    assert (folder / "a" / "b.yaml").read_text() == "text"
    bucket.delete("a/b.yaml")
    bucket.put("a", "other")
    assert mirrored(bucket.uri).problem is None
    assert (folder / "a").read_text() == "other"
