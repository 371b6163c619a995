"""Who joined and left between two looks at a study, when its ranking is old, and when a reload is due."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.study.changes import Seen, change, needs_reload
from tests.study.documents import VALID, load, replaced

NAMES = st.lists(st.sampled_from("abcdef"), unique=True)


@given(present=NAMES, wanted=NAMES, whole=st.booleans())
def test_a_change_turns_the_present_names_into_the_wanted_ones(present, wanted, whole):
    found = change("teachers", present, wanted, whole)
    after = {*present, *found.joined} - {*found.left}
    assert after == ({*wanted} if whole else {*present, *wanted})
    assert not {*found.joined} & {*present}
    assert {*found.left} <= {*present}


def test_a_change_is_reported_in_sentences():
    told = change("teachers", ["a", "b"], ["b", "c", "d"]).sentences()
    assert told == ["2 new teachers: c, d", "a left the study's teachers"]
    assert change("bases", ["a"], ["a"]).sentences() == []


@pytest.fixture
def study(tmp_path):
    return load(tmp_path, VALID)


def without(study, *names):
    return study.model_copy(update={"teachers": tuple(t for t in study.teachers if t.name not in names)})


TORN = ("left out: spare.yaml:3: …",)


def seen(study):
    return Seen((), (), whole=True).next(study)


def test_each_added_or_removed_name_makes_the_ranking_outdated_once(study):
    first = seen(study)
    assert first.next(study) == first
    gone = first.next(without(study, "spare"))
    assert gone.counter == first.counter + 1
    assert gone.next(without(study, "spare")) == gone
    back = gone.next(study)
    assert back.counter == gone.counter + 1
    assert back.text() not in (first.text(), gone.text())


def test_no_name_leaves_while_a_file_is_unreadable(study):
    first = seen(study)
    torn = first.next(without(study, "spare"), TORN)
    assert (torn.teachers, torn.counter) == (first.teachers, first.counter)
    assert torn.next(without(study, "spare"), TORN) == torn
    assert torn.next(study).counter == first.counter + 1


@given(teachers=NAMES, bases=NAMES, whole=st.booleans(), counter=st.integers(0, 9), said=NAMES)
def test_a_state_survives_as_text(teachers, bases, whole, counter, said):
    first = Seen(tuple(teachers), tuple(bases), whole, counter, tuple(said))
    assert Seen.of_text(first.text()) == first
    before = {key: kept for key, kept in json.loads(first.text()).items() if key != "left_out"}
    assert Seen.of_text(json.dumps(before)) == replace(first, left_out=())


RELOADS = {
    "name: small": ("name: other", ["name"]),
    "{name: judge,": ("{name: another,", ["reward_models"]),
    "name: picked": ("name: chosen", ["recipes"]),
    "base: base-a, recipe: best": ("base: base-a, recipe: drawn", ["runs"]),
    "name: first, base: base-a": ("name: first, base: base-b", ["runs"]),  # whose base is evaluated untuned
    "name: alpaca,": ("name: llama,", ["evaluations"]),
    "beta: 3": ("beta: 4", []),
    "{name: spare,": ("{name: new, engine: recorded, path: answers.jsonl}\n  - {name: spare,", []),
    "rows: 10": ("rows: 11", []),
}


@pytest.mark.parametrize("old", RELOADS, ids=RELOADS)
def test_only_changes_to_partitions_need_a_reload(tmp_path, study, old):
    new, keys = RELOADS[old]
    today = load(tmp_path, replaced((old, new)))
    assert today != study
    assert needs_reload(study, today) == keys
