"""If any byte of a store is flipped, the audit names its file, however a library would react to it."""

import logging
import os
import random
import re
import shutil
from collections import defaultdict
from pathlib import Path

import polars as pl
import pytest

from preceptor.audit.audit import Audit, audited
from preceptor.audit.checkpoint import audit_checkpoint
from preceptor.audit.finding import wrong
from preceptor.audit.ranking import audit_ranking
from preceptor.audit.stored import stored_files
from preceptor.audit.words import audit_text
from preceptor.lake.schemas import REWARDS
from preceptor.lake.store import Lake
from resources.warehouse import SQL

log = logging.getLogger(__name__)

RUN = "a-brief"
DEMO = Path(__file__).parents[2] / "store"


def kinds_of(run: str) -> dict[str, str]:
    """A pattern of the paths of each kind of file. The first match counts."""
    return {
        "hashes": r".*/_hashes/.*",
        "Delta's checkpoint": r".*/_delta_log/.*checkpoint.*",
        "log": r".*/_delta_log/.*\.json",
        "data": r".*/part-.*\.parquet",
        "manifest": rf".*/checkpoints/{run}/.*/manifest\.json",
        "model": rf".*/checkpoints/{run}/.*",
    }


@pytest.fixture(scope="module")
def lake(made, tmp_path_factory) -> Lake:
    """A small study, ranked and tuned, with a table long enough for a Delta checkpoint."""
    folder = tmp_path_factory.mktemp("flipped")
    shutil.copytree(made.folder / "store", folder / "store")
    lake = Lake(str(folder / "store"), "small")
    row = pl.DataFrame([dict.fromkeys(REWARDS.row_schema)], schema=REWARDS.row_schema)
    for number in range(100):
        lake.publish(REWARDS, row, {"reward_model": "other", "teacher": "other"}, f"{number}")
    return lake


def files_by_kind(lake: Lake, run: str = RUN) -> dict[str, list[Path]]:
    found, kinds = defaultdict(list), kinds_of(run)
    for path in sorted(Path(lake.home).rglob("*")):
        kind = next((kind for kind, pattern in kinds.items() if re.fullmatch(pattern, str(path))), None)
        if kind is not None and path.is_file() and path.stat().st_size:
            found[kind].append(path)
    assert kinds.keys() - found.keys() <= {"Delta's checkpoint"}, "only a long table has one"
    return found


def flipped(path: Path, chance: random.Random) -> bytes:
    """Flip one bit of a file. Returns the file's bytes from before."""
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
    path.write_bytes(bytes(damaged))
    return whole


def named(audit: Audit, path: Path) -> bool:
    """Whether a finding names the file. Also checks the audit's text."""
    assert "DO NOT MATCH" in list(audit_text(audit))[-1]
    return any(str(path) in finding.says for finding in wrong(audit.findings))


def test_the_file_of_each_flipped_byte_is_named(lake):
    """The bytes are checked before any library parses them."""
    kinds, chance = files_by_kind(lake), random.Random(14)
    assert "Delta's checkpoint" in kinds
    for number in range(60):
        path = chance.choice(kinds[list(kinds)[number % len(kinds)]])
        whole = flipped(path, chance)
        try:
            if "/checkpoints/" in str(path):
                assert named(audit_checkpoint(lake, SQL, RUN), path)
            else:
                bad = [finding.says for finding in wrong(stored_files(lake).findings)]
                assert len(bad) == 1, bad
                assert str(path) in bad[0]
        finally:
            path.write_bytes(whole)
    assert wrong(audit_checkpoint(lake, SQL, RUN).findings) == []


def flip_and_audit(lake: Lake, run: str, flips: int) -> None:
    """Run the whole audit after each flip. It also parses the damaged files, in a child process."""
    kinds, chance = files_by_kind(lake, run), random.Random(15)
    for number in range(flips):
        path = chance.choice(kinds[list(kinds)[number % len(kinds)]])
        whole = flipped(path, chance)
        try:
            assert named(audit_checkpoint(lake, SQL, run), path)
            if "/checkpoints/" not in str(path):
                assert named(audit_ranking(lake, SQL), path)
        finally:
            path.write_bytes(whole)
        log.info("flip %d of %d: %s", number + 1, flips, path.relative_to(lake.home))


@pytest.mark.slow
def test_no_flipped_byte_ends_an_audit_in_a_traceback(lake):
    flip_and_audit(lake, RUN, 12)


@pytest.mark.soak
def test_the_file_of_each_flipped_byte_of_the_demo_is_named(tmp_path):
    """Uses a copy of the store that `make demo` wrote in this checkout."""
    shutil.copytree(DEMO, tmp_path / "store")
    flip_and_audit(Lake(str(tmp_path / "store"), "demo"), "diary-llama-small", 242)


def dies(_: Lake) -> Audit:
    os.abort()


def test_a_library_that_dies_on_damaged_files_does_not_end_the_audit(lake, tmp_path):
    shutil.copytree(lake.root, tmp_path / "store")
    copy = Lake(str(tmp_path / "store"), lake.study)
    path = files_by_kind(copy)["data"][0]
    path.write_bytes(path.read_bytes() + b" ")
    audit = audited(copy, dies)
    assert named(audit, path)
    assert "its process was ended by SIGABRT" in str(audit.findings[-1])
    assert named(audit_checkpoint(copy, SQL, RUN), path)  # a new child process
