"""Grids and defaults: a study with them is the study written out, and mistakes show where they stand."""

import json
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from preceptor.study.changes import needs_reload
from tests.study.documents import VALID, load, problems, replaced, within

HEAD = yaml.safe_load(VALID[: VALID.index("teachers:")])
FOLDER = Path(tempfile.mkdtemp())
NAMES = st.lists(st.text("abcz019", min_size=1, max_size=3), min_size=1, max_size=4, unique=True)
SEEDS = st.lists(st.integers(0, 99), min_size=1, max_size=3, unique=True)
RUNS = VALID[VALID.index("runs:") : VALID.index("evaluations:")]
PICKED = "  - {kind: best_of_n, name: picked, teacher: sampled}\n"


def study(teachers, bases, tunings, **sections):
    """A study of these names; its sections may hold grids."""
    document = {
        **HEAD,
        "teachers": [{"name": name, "engine": "recorded", "dataset": "a/b"} for name in teachers],
        "bases": [{"name": name, "model": "a/b"} for name in bases],
        "reward_models": [{"name": "r", "engine": "recorded", "dataset": "a/b"}],
        "tunings": [{"name": name} for name in tunings],
        **sections,
    }
    return load(FOLDER, json.dumps(document))


def of_teachers(teachers):
    return [{"kind": "teacher", "name": f"of-{t}", "teacher": t, "rows": 5} for t in teachers]


def run(base, teacher, tuning, seed, name):
    return {"name": name, "base": base, "recipe": f"of-{teacher}", "tuning": tuning, "seed": seed}


OF_ALL = {"kind": "teacher", "teachers": "all", "rows": 5}
NAMED = "{base}+{teacher}+{tuning}+{seed}"


@settings(max_examples=40)
@given(teachers=NAMES, bases=NAMES, tunings=NAMES, seeds=SEEDS, every=st.booleans())
def test_a_grid_equals_its_expansion(teachers, bases, tunings, seeds, every):
    listed = {"bases": "all", "teachers": "all", "tunings": "all"} if every else {}
    grid = {"name": NAMED, "bases": bases, "teachers": teachers, "tunings": tunings, "seeds": seeds, **listed}
    written = [
        run(b, t, tuning, seed, f"{b}+{t}+{tuning}+{seed}")
        for b in bases
        for t in teachers
        for tuning in tunings
        for seed in seeds
    ]
    parts = (teachers, bases, tunings)
    out = study(*parts, recipes=of_teachers(teachers), runs=written)
    assert study(*parts, recipes=OF_ALL, runs=grid) == out
    more = {"kind": "random", "name": "more", "rows": 3}
    extra = {"name": "more", "base": bases[0], "recipe": "more", "tuning": tunings[0]}
    mixed = study(*parts, recipes=[more, OF_ALL], runs=[extra, grid])
    assert mixed == study(*parts, recipes=[more, *of_teachers(teachers)], runs=[extra, *written])


@settings(max_examples=40)
@given(teachers=NAMES, bases=NAMES, seeds=SEEDS, data=st.data())
def test_a_longer_list_adds_runs_without_renaming(teachers, bases, seeds, data):
    def runs(teachers, bases, seeds):
        # Capitals part the words: names are of small letters.
        grid = {"name": "B{base}T{teacher}S{seed}", "bases": "all", "teachers": "all", "tunings": "all"}
        made = study(teachers, bases, ["full"], recipes=OF_ALL, runs=[{**grid, "seeds": seeds}])
        return {run.name: run for run in made.runs}

    before = runs(teachers, bases, seeds)
    kind = data.draw(st.sampled_from([0, 1, 2]))
    parts = [teachers, bases, seeds]
    parts[kind] = data.draw(st.permutations([*parts[kind], 100 if kind == 2 else "new"]))
    after = runs(*parts)
    assert before.items() <= after.items() and len(after) > len(before)


def test_default_names_contain_all_axes():
    recipes = [
        OF_ALL,
        {"kind": "random", "rows": 7, "seeds": [1, 2]},
        {"kind": "best_teacher", "bases": "all"},
    ]
    found = study(
        ["t"],
        ["b", "c"],
        ["full"],
        recipes=recipes,
        runs={"bases": ["b"], "recipes": "all", "tunings": "all"},
    )
    assert [recipe.name for recipe in found.recipes] == [
        "of-t",
        "random-7-seed1",
        "random-7-seed2",
        "best-for-b",
        "best-for-c",
    ]
    assert [run.name for run in found.runs][:2] == ["b-of-t-full-seed0", "b-random-7-seed1-full-seed0"]


def test_all_teachers_of_runs_are_those_with_a_one_teacher_recipe():
    recipes = [{"kind": "teacher", "name": "half", "teacher": "u", "rows": 5}, *of_teachers("u")]
    found = study(
        ["t", "u"],
        ["b"],
        ["full"],
        recipes=recipes,
        runs={"bases": "all", "teachers": "all", "tunings": "all"},
    )
    assert [run.recipe for run in found.runs] == ["half", "of-u"]


def test_teachers_of_files_are_in_grids_and_need_a_reload(tmp_path):
    text = replaced(
        ("bases:\n", "teacher_files: watched\nbases:\n"), (PICKED, "  - {kind: teacher, teachers: all}\n")
    )
    text = text.replace(RUNS, "runs: {bases: [base-a], teachers: all, tunings: [full]}\n")
    (tmp_path / "watched").mkdir()
    before = load(tmp_path, text)
    late = tmp_path / "watched" / "late.yaml"
    late.write_text("{name: late, engine: recorded, dataset: a/b}")
    after = load(tmp_path, text)
    assert [recipe.name for recipe in after.recipes[len(before.recipes) :]] == ["of-late"]
    assert [run.name for run in after.runs[len(before.runs) :]] == ["base-a-of-late-full-seed0"]
    assert needs_reload(before, after) == ["recipes", "runs"]
    late.write_text("{name: late, engine: rec")
    assert load(tmp_path, text) == before
    own = text[: text.index("teachers:\n")] + text[text.index("teacher_files:") :]
    own = own.replace(", teachers: {graded: someone}", "").replace(", teachers: [graded, spare]", "")
    late.unlink()
    assert load(tmp_path, own).runs == ()


def grid(text):
    return (RUNS, f"runs:\n  - {text}\n")


FULL = "tunings: [full]"
# The replaced text of the study, the line and path of each problem, and a part of its message.
MISTAKES = {
    "unknown name": (
        grid(f"{{bases: [base-a, b], recipes: [best], {FULL}}}"),
        {"29 runs[0].bases[1]": "'b' is not among"},
    ),
    "bad seed": (
        grid(f"{{bases: all, recipes: all, {FULL}, seeds: [0, x]}}"),
        {"29 runs[0].seeds[1]": "integer"},
    ),
    "no list": (
        grid(f"{{bases: base-a, recipes: all, {FULL}}}"),
        {"29 runs[0].bases": "'all' or a list of names"},
    ),
    "empty list": (grid(f"{{bases: all, recipes: [], {FULL}}}"), {"29 runs[0].recipes": "is empty"}),
    "all seeds": (
        grid(f"{{bases: all, recipes: all, {FULL}, seeds: all}}"),
        {"29 runs[0].seeds": "whole numbers"},
    ),
    "listed twice": (
        grid("{bases: all, recipes: all, tunings: [full, full]}"),
        {"29 runs[0].tunings": "2 times"},
    ),
    "misspelt axis": (
        grid("{bases: all, recipes: all, tunnings: [full]}"),
        {"29 runs[0].tunnings": "Did you mean 'tunings'?"},
    ),
    "axis left out": (grid("{bases: all, recipes: all}"), {"29 runs[0].name": "needs 'tunings'"}),
    "one and many": (
        grid(f"{{bases: all, base: base-a, recipes: all, {FULL}}}"),
        {"29 runs[0].bases": "'bases' and 'base' set the same field"},
    ),
    "no recipe of a teacher": (
        grid(f"{{bases: all, teachers: [spare], {FULL}}}"),
        {"29 runs[0].teachers[0]": "'spare' has no recipe of kind 'teacher'"},
    ),
    "no such recipe at all": (
        grid(f"{{bases: all, teachers: all, {FULL}}}"),
        {"29 runs[0].teachers": "no recipes of kind"},
    ),
    "varies unnamed": (
        grid(f"{{name: 'x-{{base}}', bases: all, recipes: [best, drawn], {FULL}}}"),
        {"29 runs[0].name": "recipe best and recipe drawn the same name, 'x-base-a': add {recipe}"},
    ),
    "unknown word": (
        grid(f"{{name: '{{bsae}}', bases: all, recipes: all, {FULL}}}"),
        {"29 runs[0].name": "{bsae} is not one of"},
    ),
    "word with a look inside": (
        grid(f"{{name: '{{base.x}}', bases: all, recipes: all, {FULL}}}"),
        {"29 runs[0].name": "{base.x} is not one of"},
    ),
    "no safe name": (
        grid(f"{{name: '{{base}} x', bases: all, recipes: [best], {FULL}}}"),
        {"29 runs[0].name": "'base-a x'"},
    ),
    "no quotes": (
        grid(f"{{name: {{base}}, bases: all, recipes: all, {FULL}}}"),
        {"29 runs[0].name": "in quotes"},
    ),
    "an explicit run's name": (
        grid(
            "{name: x, base: base-a, recipe: best, tuning: full}\n"
            f"  - {{name: X, bases: [base-a], recipes: [best], {FULL}}}"
        ),
        {"30 runs[1].name": "'X' repeats the name of runs[0]"},
    ),
    "too many": (
        grid(f"{{bases: all, recipes: all, {FULL}, seeds: [{', '.join(map(str, range(1500)))}]}}"),
        {"29 runs[0]": "12,000 entries"},
    ),
    "variable": (
        grid("{bases: all, recipes: all, tunings: ['${UNSET}']}"),
        {"29 runs[0].tunings[0]": "UNSET is not set"},
    ),
    "bad field of every cell": (
        (PICKED, "  - {kind: teacher, teachers: all, rows: true}\n"),
        {"25 recipes[3].rows": "not true"},
    ),
    "unknown key of a grid": (
        (PICKED, "  - {kind: teacher, teachers: all, row: 3}\n"),
        {"25 recipes[3].row": "'rows'"},
    ),
    "grid without a kind": (
        (PICKED, "  - {name: x, teachers: all}\n"),
        {"25 recipes[3].kind": "is required"},
    ),
    "bad default": (
        ("name: small\n", "name: small\ndefaults:\n  teachers:\n    terms: 3\n"),
        {"4 defaults.teachers.terms": "3 is invalid"},
    ),
    "default that one engine lacks": (
        ("name: small\n", "name: small\ndefaults:\n  teachers:\n    prompt_format: own\n"),
        {"4 defaults.teachers.prompt_format": "(in teachers[0])"},
    ),
    "default below": (
        ("name: small\n", "name: small\ndefaults:\n  bases:\n    max_length: 0\n"),
        {"4 defaults.bases.max_length": "greater than 1"},
    ),
    "default that nothing has": (
        ("name: small\n", "name: small\ndefaults: {bases: {modle: x}}\n"),
        {"2 defaults.bases.modle": "Did you mean 'model'?"},
    ),
    "default name": (
        ("name: small\n", "name: small\ndefaults: {bases: {name: x}}\n"),
        {"2 defaults.bases.name": "not a known key"},
    ),
    "unknown section": (
        ("name: small\n", "name: small\ndefaults: {base: {}}\n"),
        {"2 defaults.base": "Did you mean 'bases'?"},
    ),
    "no sections": (
        ("name: small\n", "name: small\ndefaults: [x]\n"),
        {"2 defaults": "sections such as"},
    ),
    "no keys": (
        ("name: small\n", "name: small\ndefaults: {bases: x}\n"),
        {"2 defaults.bases": "mapping of keys"},
    ),
}


@pytest.mark.parametrize(("change", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_a_problem_has_its_place_in_the_file(tmp_path, change, expected):
    found = {f"{line} {path}": message for line, path, message in problems(tmp_path, replaced(change))}
    assert found.keys() >= expected.keys() and len(found) <= len(expected) + 2, found
    assert [text for place, text in expected.items() if text not in found[place]] == []


def test_a_default_sets_a_missing_key(tmp_path):
    shared = {
        "teachers": {"terms": "MIT", "family": "f"},
        "bases": {"dtype": "bfloat16"},
        "runs": {"tuning": "full", "seed": 3},
        "recipes": {"cut_responses": "keep"},
    }
    own = "  - {name: first, base: base-a, recipe: best, seed: 4}\n"
    runs = f"runs:\n{own}  - {{bases: [base-b], recipes: [best], seeds: [5]}}\n"
    found = load(
        tmp_path,
        replaced(
            ("name: small\n", f"name: small\ndefaults: {shared}\n"),
            (RUNS, runs),
            ("name: spare", "family: own, name: spare"),
        ),
    )
    assert [(t.terms, t.family) for t in found.teachers] == [("MIT", "f"), ("MIT", "f"), ("MIT", "own")]
    assert {base.dtype for base in found.bases} == {"bfloat16"}
    assert {recipe.cut_responses for recipe in found.recipes} == {"keep"}
    assert [(r.name, r.tuning, r.seed) for r in found.runs] == [
        ("first", "full", 4),
        ("base-b-best-full-seed5", "full", 5),
    ]


def test_a_default_is_not_merged_into_a_key_that_an_entry_sets(tmp_path):
    shared = "name: small\ndefaults: {evaluations: {sampling: {top_p: 0.5}}}\n"
    own = ("dataset: organisation/benchmark", "dataset: organisation/benchmark, sampling: {seed: 2}")
    sampling = [
        load(tmp_path, text).evaluations[0].sampling
        for text in (replaced(("name: small\n", shared)), replaced(("name: small\n", shared), own))
    ]
    assert [(s.top_p, s.seed) for s in sampling] == [(0.5, 0), (1.0, 2)]


def test_a_study_of_ten_thousand_runs_loads_quickly():
    names = [f"n{number}" for number in range(100)]
    with within(60):
        runs = {"name": "{base}-{teacher}", "bases": "all", "teachers": "all", "tunings": "all"}
        assert len(study(names, names, ["full"], recipes=OF_ALL, runs=runs).runs) == 10_000
