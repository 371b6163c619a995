"""Dagster's home: made by several at once, in places with odd names, and on disks that cannot be written."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace

import dagster as dg
import pytest
from sqlalchemy.exc import OperationalError

from jobs import materialize as materializing
from jobs import serve
from jobs.home import HomeError, home_folder, open_instance
from jobs.run_study import unusable_places
from jobs.steps import Step
from tests.jobs.test_run_study import run
from tests.studies import write_study

STUDY = SimpleNamespace(name="small")


def test_two_that_make_the_home_at_once_both_have_it(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    together = Barrier(4)

    def opened(_):
        together.wait()
        with open_instance(STUDY) as instance:
            return instance.get_runs_count()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(opened, range(4))) == [0] * 4


@pytest.mark.parametrize("name", ["50%", "a b#1 %zz é日😀 a+b&c=d $HOME ' \" x:y@z;"])
def test_a_home_of_any_name_is_where_it_was_said(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", f"homes/{name}")
    with open_instance(STUDY) as instance:
        assert instance.root_directory == os.environ["DAGSTER_HOME"] == str(tmp_path / "homes" / name)
        instance.add_dynamic_partitions("small/teachers", ["ann"])
    with open_instance(STUDY) as instance:
        assert instance.get_dynamic_partitions("small/teachers") == ["ann"]
    assert list(tmp_path.iterdir()) == [tmp_path / "homes"]
    assert list((tmp_path / "homes").iterdir()) == [tmp_path / "homes" / name]


@pytest.mark.parametrize("name", ["my%20home", "%2e", "what?", "?mode=ro", "[a]", "a*", "a\nb"])
def test_a_name_that_a_url_would_change_is_refused_before_anything_is_written(tmp_path, monkeypatch, name):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / name))
    with pytest.raises(HomeError, match=r"can be in the path of Dagster's home.*set DAGSTER_HOME"):
        open_instance(STUDY)
    assert list(tmp_path.iterdir()) == []


def test_without_a_setting_the_home_is_the_studys_own(monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", "")
    assert home_folder(STUDY).parts[-2:] == (".dagster", "small")
    monkeypatch.setenv("DAGSTER_HOME", "~nobody-of-this-name/home")
    with pytest.raises(HomeError, match="there is no such user"):
        home_folder(STUDY)


def test_a_home_that_cannot_be_made_or_read_is_one_sentence(tmp_path, monkeypatch):
    for home in ("/proc/nowhere", str(tmp_path)):
        (tmp_path / "history" / "runs.db").mkdir(parents=True, exist_ok=True)
        monkeypatch.setenv("DAGSTER_HOME", home)
        with pytest.raises(
            HomeError, match=r"^Dagster's home \S+ cannot be used: .*\. Set DAGSTER_HOME"
        ) as told:
            open_instance(STUDY)
        assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("place", "problem"),
    [
        ("new/and/deep", None),
        ("link/new", None),
        ("file", "is not a folder"),
        ("file/below", "is not a folder"),
        ("nowhere/below", "is a broken link"),
        ("/proc/below", "is in /proc"),
        ("sealed/below", "is not writable"),
    ],
)
def test_a_place_where_nothing_can_be_written_is_said_before_anything_runs(
    tmp_path, monkeypatch, place, problem
):
    for folder in ("real", "sealed"):
        (tmp_path / folder).mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "nowhere").symlink_to("gone")
    access = os.access  # whoever runs tests as root may write anywhere
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "sealed" and access(path, mode))
    monkeypatch.setenv("PRECEPTOR_STORE", str(tmp_path / place))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / place))
    said = list(unusable_places(STUDY))
    assert len(said) == (0 if problem is None else 2)
    for sentence, variable in zip(said, ("PRECEPTOR_STORE", "DAGSTER_HOME"), strict=False):
        assert problem in sentence and f"set {variable} to a folder that can be written" in sentence


def full(*_, **__):
    raise OperationalError("INSERT …", {}, OSError(28, "No space left on device"))


def test_who_serves_from_a_full_disk_is_told_the_same_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PRECEPTOR_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("PRECEPTOR_STUDY", "small.yaml")
    monkeypatch.setattr(sys, "argv", ["serve", "--port", "0"])
    monkeypatch.setattr(serve, "read_study", lambda _: SimpleNamespace(study=STUDY, left_out=()))
    monkeypatch.setattr(serve, "synchronise", full)
    with pytest.raises(SystemExit, match=r"^Dagster's home \S+ cannot be used: \[Errno 28\] No space left"):
        serve.main()


def test_a_disk_that_is_full_in_mid_run_is_the_same_sentence(monkeypatch):
    monkeypatch.setattr(dg, "materialize", full)
    monkeypatch.setitem(
        sys.modules,
        "definitions",
        SimpleNamespace(defs=SimpleNamespace(assets=[], resources={})),
    )
    monkeypatch.setitem(sys.modules, "assets.study", SimpleNamespace(STUDY=STUDY))
    with pytest.raises(
        HomeError, match=r"home here cannot be used: \[Errno 28\] No space left on device\. Set"
    ):
        materializing.materialize(Step("car_table"), SimpleNamespace(root_directory="here"))


@pytest.fixture
def small_disk(tmp_path):
    (tmp_path / "dagster").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path / "dagster")]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small disk here: {mounted.stderr.strip()}")
    yield tmp_path / "dagster"
    subprocess.run(["umount", str(tmp_path / "dagster")], check=True)


@pytest.mark.slow
def test_a_study_whose_home_lies_on_a_full_disk_ends_with_one_sentence(tmp_path, small_disk):
    write_study(tmp_path)

    def ends(left: int) -> str:
        (small_disk / "ballast").write_bytes(bytes(os.statvfs(small_disk).f_bavail * 4096 - left))
        result = run(tmp_path)
        (small_disk / "ballast").unlink()
        assert result.returncode == 1
        assert "Traceback" not in result.stdout + result.stderr
        (sentence,) = result.stderr.strip().splitlines()
        assert sentence.startswith(f"Dagster's home {small_disk}/small.yaml cannot be used: ")
        return sentence

    ends(8192)  # before there is one
    (small_disk / "ballast").write_bytes(b"")
    ends(1_500_000)  # when it has begun
