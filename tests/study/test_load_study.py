"""What a study is once it is loaded, which names it may hold, and all mistakes of one file at once."""

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from preceptor.study.fields import Frozen, Model, Sampling
from preceptor.study.load import load_study
from preceptor.study.untuned import evaluated_runs, untuned_runs
from tests.conftest import REAL_DATA
from tests.study.documents import VALID, load, problems, replaced

SPARE = "{name: spare, engine: recorded, dataset: organisation/answers}"
CAR = "{reward_model: grades, beta: 3}"


def test_all_mistakes_of_a_file_show_at_once_in_the_order_of_its_lines(tmp_path):
    text = replaced(
        ("questions.jsonl", "nowhere.jsonl"),
        ("name: graded", "name: ../../etc"),
        ("engine: transformers", "engine: transformers\n    color: red"),
        ("temperature: 0.7, n: 4", "temperature: -1, top_p: 2, top_p: 3"),
        (SPARE, "{name: SAMPLED, engine: recorder}"),
        ("./model", "./no-model"),
        ("base-b, model: organisation/base", "base-b"),
        ("path: scores.csv", "path: '${UNSET}'"),
        (CAR, "{beta: '${API_KEY}'}"),
        ("teacher: sampled", "teacher: t"),
    )
    found = [problem[:2] for problem in problems(tmp_path, text, API_KEY="s3cret")]
    assert [number for number, _ in found] == sorted(number for number, _ in found)
    assert sorted(found) == [
        (4, "instructions.sources[0].path"),
        (6, "teachers[0].name"),
        (11, "teachers[1].color"),
        (13, "teachers[1].sampling.temperature"),
        (13, "teachers[1].sampling.top_p"),
        (14, "teachers[2].engine"),
        (14, "teachers[2].name"),
        (16, "bases[0].model"),
        (17, "bases[1].model"),
        (19, "reward_models[0].path"),
        (19, "reward_models[0].teachers.graded"),
        (21, "car"),
        (21, "car.beta"),
        (24, "recipes[1].teachers[0]"),
        (24, "recipes[1].teachers[1]"),
        (26, "recipes[3].teacher"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "path", "message"),
    [
        (
            "  - {name: base-a, model: ./model}",
            "  - ./model",
            "bases[0]",
            "keys such as model, name",
        ),
        (CAR, "sigmoid", "car", "keys such as beta, form"),
        ("[graded, spare]", "graded", "recipes[1].teachers", "must be a list"),
        (
            "sampling: {temperature: 0.7, n: 4}",
            "dtype: bf16",
            "teachers[1].dtype",
            "must be 'float32', 'bf",
        ),
        (
            "    engine: transformers\n",
            "",
            "teachers[1].engine",
            "is required: one of 'recorded', 'transformers', ",
        ),
        (
            "path: questions.jsonl",
            "file: questions.jsonl",
            "instructions.sources[0].file",
            "Did you mean 'path'?",
        ),
        ("car:", "kar:", "kar", "averages, defaults. Did you mean 'car'?"),
        ("beta: 3", "beta: three", "car.beta", "must be a valid number"),
        (
            "model: organisation/base",
            "model: model",
            "bases[1].model",
            "write './model'",
        ),
    ],
)
def test_a_message_uses_the_terms_of_a_study_and_not_of_python(tmp_path, old, new, path, message):
    found = {problem.path: problem.message for problem in problems(tmp_path, replaced((old, new)))}
    assert message in found[path]
    assert not any(word in text for text in found.values() for word in ("tuple", "dictionary", "instance"))


def test_models_without_a_prompt_date_get_the_studys(tmp_path):
    def dates(text):
        study = load(tmp_path, text)
        parts = (*study.teachers, *study.bases, *study.reward_models)
        return [part.prompt_date for part in parts if isinstance(part, Model)]

    assert load(tmp_path, VALID).prompt_date == date(2024, 7, 26) and set(dates(VALID)) == {None}
    there = f"prompt_date: 2025-03-01\n{VALID}"
    assert set(dates(there)) == {date(2025, 3, 1)}
    own = there.replace("engine: transformers", "engine: transformers\n    prompt_date: 2023-01-31")
    assert set(dates(own)) == {date(2025, 3, 1), date(2023, 1, 31)}


@pytest.mark.parametrize("value", ["2024-13-01", "20240726", "86400", "today", "2024-07-26T00:00:00", "true"])
def test_a_date_has_one_format(tmp_path, value):
    ((_, place, said),) = problems(tmp_path, f"prompt_date: {value}\n{VALID}")
    assert place == "prompt_date" and "invalid" in said


def test_the_order_of_lines_does_not_change_between_processes(tmp_path):
    spare = "".join(f"\n  - {{name: 'a|{i % 2}', engine: recorded, dataset: a/b}}" for i in range(8))
    found = problems(tmp_path, replaced((SPARE, SPARE + spare)))
    assert len(found) == 8 + 6  # each is invalid, and all but two repeat one
    assert found == sorted(found)


NAMES = [
    "../../etc",
    "a|b",
    "a/b",
    "",
    " a",
    "-a",
    ".a",
    "a b",
    "a" * 101,
    "a\n",
    "Größe",
    "老师",
    "٣",
    "a\u200bb",
]


@pytest.mark.parametrize("name", NAMES)
def test_an_unsafe_folder_name_is_refused(tmp_path, name):
    (problem,) = problems(
        tmp_path, replaced(("name: spare", f"name: {json.dumps(name)}"), ("graded, spare", ""))
    )
    assert problem[:2] == (13, "teachers[2].name")
    assert repr(name) in problem.message
    assert "1 to 100 letters, digits" in problem.message


@pytest.mark.parametrize("name", ["a", "7", "A" * 100, "gpt-3.5-turbo-1106", "C++", "a_b.c"])
def test_a_safe_name_is_unchanged(tmp_path, name):
    text = replaced(("name: spare", f"name: {json.dumps(name)}"), ("graded, spare", ""))
    assert load(tmp_path, text).teachers[2].name == name


@pytest.mark.parametrize("word", ["true", "False", "3.5", "7"])
def test_a_name_that_yaml_reads_as_another_type_needs_quotes(tmp_path, word):
    text = replaced(("name: judge", f"name: {word}"))
    (problem,) = problems(tmp_path, text)
    assert problem[:2] == (19, "reward_models[1].name")
    assert "quote" in problem.message
    quoted = load(tmp_path, text.replace(f"name: {word}", f"name: '{word}'"))
    assert quoted.reward_models[1].name == word


@pytest.mark.parametrize("word", ["no", "yes", "on", "off", "2024-01-01", "1_000", "0x10", "12:30"])
def test_a_word_that_only_old_yaml_reads_as_another_type_is_text(tmp_path, word):
    assert load(tmp_path, replaced(("name: small", f"name: small\ndescription: {word}"))).description == word


@pytest.mark.parametrize(
    "column",
    ["mean_nll", "perplexity", "ifd", "ifd_of_perplexities", "rank_surprisal_ratio", "response_tokens"],
)
def test_a_column_that_depends_on_the_base_needs_a_base(tmp_path, column):
    recipe = f"column: {column}, order: lowest, rows: 5"
    old = "column: mean_nll, order: lowest, rows: 5, base: base-b"
    (problem,) = problems(tmp_path, replaced((old, recipe)))
    assert problem[:2] == (24, "recipes[2]")
    assert column in problem.message
    assert "'base'" in problem.message
    assert load(tmp_path, replaced((old, f"{recipe}, base: base-a"))).recipes[2].base == "base-a"


def test_a_study_with_several_reward_models_must_choose_one_even_without_car(tmp_path):
    (problem,) = problems(tmp_path, replaced((f"car: {CAR}\n", "")))
    assert problem.path == "car"
    judge = "  - {name: judge, engine: sequence_classification, model: organisation/reward}\n"
    assert load(tmp_path, replaced((f"car: {CAR}\n", ""), (judge, ""))).car_reward_model == "grades"


def test_different_lists_may_use_the_same_name(tmp_path):
    study = load(tmp_path, replaced(("name: judge", "name: graded"), ("name: alpaca", "name: graded")))
    assert study.reward_model("graded").engine == "sequence_classification"


@pytest.mark.parametrize("name", ["untuned-base-a", "Untuned-BASE-b"])
def test_the_name_of_an_untuned_base_is_reserved(tmp_path, name):
    (problem,) = problems(tmp_path, replaced(("name: first", f"name: {name}")))
    assert problem.path == "runs[0].name"
    assert "is reserved for the untuned base" in problem.message
    assert load(tmp_path, replaced(("name: first", "name: untuned-other"))).runs[0].name == "untuned-other"


def test_an_untuned_base_is_evaluated_if_it_has_a_run(tmp_path):
    study = load(tmp_path, VALID)
    assert untuned_runs(study) == {"untuned-base-a": "base-a"}  # base-b has no run
    assert evaluated_runs(study) == {"first": "base-a", "untuned-base-a": "base-a"}
    assert untuned_runs(study.model_copy(update={"evaluations": ()})) == {}


def test_a_study_has_the_values_of_its_file(tmp_path):
    study = load(tmp_path, VALID)
    assert [teacher.name for teacher in study.teachers] == ["graded", "sampled", "spare"]
    assert study.teacher("sampled").sampling.n == 4
    assert study.base("base-a").prompt_format == "tulu"
    assert (study.car_reward_model, study.car.beta) == ("grades", 3.0)
    assert study.recipe("likely").order == "lowest"


@pytest.mark.parametrize(
    ("part", "field"),
    [
        (lambda study: study, "name"),
        (lambda study: study.instructions.sources[0], "path"),
        (lambda study: study.teachers[1].sampling, "temperature"),
        (lambda study: study.bases[0], "model"),
        (lambda study: study.car, "beta"),
        (lambda study: study.recipes[0], "base"),
    ],
)
def test_no_part_of_a_study_can_be_changed(tmp_path, part, field):
    study = load(tmp_path, VALID)
    with pytest.raises(ValidationError, match="frozen"):
        setattr(part(study), field, getattr(part(study), field))


@pytest.mark.skipif(not (REAL_DATA / "arena_bench").is_dir(), reason="the recorded answers are not here")
def test_the_shipped_study_loads_on_real_data(pytestconfig):
    file = pytestconfig.rootpath / "studies" / "arena_bench.yaml"
    study = load_study(file, {"PRECEPTOR_DATA": str(REAL_DATA)})
    assert (len(study.teachers), len(study.bases), len(study.recipes)) == (18, 3, 3)


def test_the_shipped_study_names_every_missing_file(tmp_path, pytestconfig):
    text = (pytestconfig.rootpath / "studies" / "arena_bench.yaml").read_text()
    found = problems(tmp_path, text, PRECEPTOR_DATA="/nowhere")
    assert len(found) == text.count('"${PRECEPTOR_DATA:-')
    assert all("/nowhere/" in problem.message for problem in found)


@pytest.mark.parametrize(
    ("more", "place", "words"),
    [
        ("base_url: 'http://user:sk-1@host/v1'", "base_url", "must not contain a user, key or query"),
        ("base_url: 'http://host/v1?key=sk-1'", "base_url", "must not contain a user, key or query"),
        ("base_url: host/v1", "base_url", "must start with http:// or https://"),
        ("base_url: 'http://host', api_key_variable: sk-abc", "api_key_variable", "not the key itself"),
    ],
)
def test_a_key_in_a_study_is_refused(tmp_path, more, place, words):
    text = replaced((SPARE, f"{{name: spare, engine: openai, model: m, {more}}}"))
    ((_, found, message),) = problems(tmp_path, text)
    assert found == f"teachers[2].{place}"
    assert words in message


def test_one_stop_text_is_a_list_of_one(tmp_path):
    sampled = "temperature: 0.7, n: 4"
    assert load(tmp_path, replaced((sampled, sampled + ", stop: END"))).teachers[1].sampling.stop == ("END",)


@pytest.mark.parametrize("off", ["false", "off", "no"])
def test_a_recipe_cannot_use_losses_that_its_base_does_not_measure(tmp_path, off):
    text = replaced(
        ("base-b, model: organisation/base", f"base-b, model: organisation/base, unconditional: {off}"),
        ("recipes:", "recipes:\n  - {kind: top_k, name: by-ifd, column: ifd, rows: 2, base: base-b}"),
    )
    ((_, place, message),) = problems(tmp_path, text)
    assert place == "recipes[0].column"
    assert "'ifd' needs losses that base 'base-b'" in message


@pytest.mark.parametrize(
    ("old", "new", "path", "why"),
    [
        ("rows: 10", "rows: true", "recipes[1].rows", "must be a number, not true"),
        ("beta: 3", "beta: false", "car.beta", "must be a number, not false"),
        ("beta: 3", "sweep: [0, true]", "car.sweep[1]", "must be a number, not true"),
        ("rows: 10", "rows: '1_000'", "recipes[1].rows", "write the number without '_'"),
        ("rows: 10", "rows: 10, seed: 99999999999", "recipes[1].seed", "at most 2147483647"),
        ("beta: 3", "resamples: 1000000000000000000", "car.resamples", "at most 2147483647"),
        ("beta: 3", "resamples: 1000000", "car.resamples", "less than or equal to 100000"),
        ("beta: 3", "reward_map: {kind: affine, shift: 1.0e+300}", "car.reward_map.shift", "at most 1e+100"),
        ("beta: 3", "confidence: .nan", "car.confidence", "finite number"),
    ],
)
def test_booleans_and_too_large_numbers_are_refused(tmp_path, old, new, path, why):
    (problem,) = problems(tmp_path, replaced((old, new)))
    assert problem.path == path and why in problem.message


def test_every_number_of_a_study_is_whole_or_real():
    """Whoever adds a number takes Whole or Real, which refuse what the test above shows."""
    parts = list(subclasses(Frozen))
    assert Sampling in parts and len(parts) > 30
    for part in parts:
        for name, field in part.model_fields.items():
            whole = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
            with suppress(PydanticUserError):  # a discriminated union: its members are parts as well
                taken = [value for value in (1, 1.0, True) if accepts(TypeAdapter(whole), value)]
                any_or_bool = field.annotation is Any or "bool" in str(field.annotation)
                assert taken != [1, 1.0, True] or any_or_bool, f"{part.__name__}.{name}"


def subclasses(kind: type) -> Iterator[type]:
    for below in kind.__subclasses__():
        yield from (below, *subclasses(below))


def accepts(adapter: TypeAdapter, value: object) -> bool:
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True
