"""A file of scores is read once; what is kept of it says the same, or is not believed."""

import csv
import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.records import read_records
from preceptor.rewards import score_cache, score_file
from preceptor.rewards.recorded import recorded_reward_fingerprint
from preceptor.rewards.score_file import read_scores
from preceptor.study.reward_models import RecordedRewardModel

CELL = st.sampled_from(["1", " 2.5 ", "-1e3", "nan", "1e999", "eight", "true", "1_0", ""])
ROW = st.tuples(st.sampled_from(["q1", "q2", "é", ""]), st.sampled_from(["t", "u", ""]), CELL)
REPAIRED = "\ufffd"


def scores(folder, *rows, name="scores.csv") -> RecordedRewardModel:
    text = io.StringIO()
    csv.writer(text).writerows([("question_id", "model", "score"), *rows])
    (folder / name).write_text(text.getvalue())
    return RecordedRewardModel(name="r", engine="recorded", path=str(folder / name))


def plainly(path) -> dict[str, dict[str, tuple]]:
    """Value, error and what is missing, by model and id, computed without the rest."""
    found = {}
    for number, (id, model, cell) in enumerate(csv.reader(path.read_text().splitlines()[1:]), 2):
        place = f"{path.name}:{number}"
        if not id or not model:
            continue
        numbers = {"1": 1.0, "2": 2.0, "3": 3.0, " 2.5 ": 2.5, "-1e3": -1000.0}
        whys = {"1e999": f"score in {place} is inf"}
        if id in found.setdefault(model, {}):
            score = None, f"two scores in {place}", None
        elif cell == "":
            score = None, None, f"empty score in {place}"
        elif cell in numbers:
            score = numbers[cell], None, None
        else:
            score = None, whys.get(cell, f"score {cell!r} in {place} is not a number"), None
        found[model][id] = score
    return found


def told(model: RecordedRewardModel) -> dict[str, dict[str, tuple]]:
    models = read_scores(model).models
    return {
        name: {id: (s.value, s.error, s.missing) for id, s in read_scores(model, name).scores(name).items()}
        for name in models
    }


@given(rows=st.lists(ROW, max_size=8))
def test_what_is_read_and_what_is_kept_say_what_the_file_says(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("scores")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(score_cache, "cache_folder", lambda: folder / "cache")
        model = scores(folder, *rows)
        read = read_scores(model)
        assert told(model) == plainly(folder / "scores.csv")
        assert read.read == len(rows)
        patched.setattr(score_file, "read_records", None)  # from now on nobody reads the file
        kept = read_scores(model)
        assert told(model) == plainly(folder / "scores.csv")
    counted = [(f.read, f.bad_rows, f.models, f.digests) for f in (read, kept)]
    assert counted[0] == counted[1]


@pytest.fixture
def reads(monkeypatch):
    """How often the file is read from its beginning."""
    seen = []

    def counted(model):
        seen.append(model.path)
        return read_records(model)

    monkeypatch.setattr(score_file, "read_records", counted)
    monkeypatch.setattr(score_file, "_held", {})
    return seen


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(score_cache, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


ROWS = [("q1", "t", "1"), ("q2", "t", "2"), ("q1", "u", "3")]


@pytest.mark.parametrize("place", ["index", "*.parquet"])
def test_what_was_damaged_is_not_believed_and_is_mended(tmp_path, cache, reads, place):
    model = scores(tmp_path, *ROWS)
    right = told(model)
    for file in cache.glob(f"scores/*/{place}"):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    score_cache._index.cache_clear()  # as in another process
    assert told(model) == right
    assert len(reads) == 2
    score_cache._index.cache_clear()
    assert told(model) == right
    assert len(reads) == 2


def test_a_machine_that_keeps_nothing_reads_it_once_a_process(tmp_path, monkeypatch, reads):
    (tmp_path / "cache").write_text("a file where a folder should be")
    monkeypatch.setattr(score_cache, "cache_folder", lambda: tmp_path / "cache")
    model = scores(tmp_path, *ROWS)
    assert told(model) == plainly(tmp_path / "scores.csv")
    assert len(reads) == 1


def test_a_file_of_another_name_has_messages_of_its_own(tmp_path, cache):
    rows = [("q1", "t", "eight")]
    for name in ("one.csv", "two.csv"):
        assert name in read_scores(scores(tmp_path, *rows, name=name), "t").scores("t")["q1"].error


def test_only_the_latest_files_are_kept(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(score_cache, "FOLDERS", 2)
    for number in range(4):
        read_scores(scores(tmp_path, ("q1", "t", str(number))))
    assert len(list(cache.glob("scores/*/index"))) == 2
    assert not list(cache.glob("scores/.*"))


def test_a_teachers_mark_hangs_on_its_own_scores_alone(tmp_path, cache):
    def marks(*rows):
        model = scores(tmp_path, *rows)
        return [recorded_reward_fingerprint(model, teacher) for teacher in ("t", "u", "v")]

    first = marks(*ROWS)
    assert marks(*ROWS, ("q1", "v", "9")) == [*first[:2], marks(("q1", "v", "9"))[2]]
    assert (
        marks(("q2", "t", "2"), ("q1", "u", "3"), ("q1", "t", "1.0")) == first
    )  # another order, same scores
    changed = marks(("q1", "t", "1"), ("q2", "t", "2.5"), ("q1", "u", "3"))
    assert [now != then for now, then in zip(changed, first, strict=True)] == [True, False, False]


def test_lone_surrogates_are_replaced_as_in_the_ids_of_instructions(tmp_path, cache):
    path = tmp_path / "scores.jsonl"
    path.write_text('{"question_id": "q\\ud800", "model": "t", "score": "\\ud800"}\n')
    model = RecordedRewardModel(name="r", engine="recorded", path=os.fspath(path))
    assert list(read_scores(model, "t").scores("t")) == [f"q{REPAIRED}"]
