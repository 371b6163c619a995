"""When a partition was replaced is read from the table's own log, whatever else was written in between."""

from datetime import UTC, datetime, timedelta

import pytest

from preceptor.lake.publications import publications
from preceptor.lake.schemas import REWARDS
from preceptor.lake.store import LakeError
from tests.lake.samples import NAMES, answers, partition, work

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def publish(lake, teacher, fingerprint):
    rows = answers(work(teacher=teacher).wanted, fingerprint)
    return lake.publish(REWARDS, rows, partition(teacher), fingerprint).version


@pytest.mark.parametrize("name", NAMES)
def test_only_the_partitions_own_replacements_count(lake, name):
    assert publications(lake, REWARDS, partition(name), LONG_AGO) == []
    mine = []
    for fingerprint in ("f1", "f2", "f3"):
        publish(lake, "another", fingerprint)
        mine.append(publish(lake, name, fingerprint))
    backwards = dict(reversed(partition(name).items()))
    found = publications(lake, REWARDS, backwards, LONG_AGO)
    assert [publication.version for publication in found] == mine
    assert datetime.now(UTC) - found[-1].at < timedelta(minutes=1)


def test_older_replacements_are_left_out(lake):
    publish(lake, "t", "f1")
    first = publications(lake, REWARDS, partition("t"), LONG_AGO)[0]
    assert publications(lake, REWARDS, partition("t"), first.at + timedelta(seconds=1)) == []
    assert publications(lake, REWARDS, partition("t"), first.at) == [first]


def test_an_unreadable_log_is_named(lake, tmp_path):
    publish(lake, "t", "f1")
    log = tmp_path / "store" / "test" / "rewards" / "_delta_log"
    (log / "00000000000000000001.json").write_text("no json")
    with pytest.raises(LakeError, match="rewards"):
        publications(lake, REWARDS, partition("t"), LONG_AGO)
