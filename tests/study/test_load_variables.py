"""${VAR} and ${VAR:-default} expand everywhere in a study; what looks like a secret never does."""

import logging

import pytest
import yaml

from preceptor.study.load import load_study
from tests.study.documents import VALID, load, problems, replaced, write


def described(text):
    return replaced(("name: small\n", f"name: small\ndescription: '{text}'\n"))


@pytest.mark.parametrize(
    ("written", "environment", "expected"),
    [
        ("${A}", {"A": "x"}, "x"),
        ("a ${A} b ${B} c", {"A": "x", "B": "y"}, "a x b y c"),
        ("${A}${A}", {"A": "x"}, "xx"),
        ("${A:-z}", {"A": "x"}, "x"),
        ("${A:-z}", {}, "z"),
        ("${A:-}", {}, ""),
        ("${A:-z}", {"A": ""}, "z"),  # as in a shell
        ("${A:-b c:-/d}", {}, "b c:-/d"),
        ("${A}", {"A": ""}, ""),
        ("${_a1}", {"_a1": "größe\n"}, "größe\n"),
        ("$A and $(A) and {A}", {"A": "x"}, "$A and $(A) and {A}"),
        ("${A}", {"A": "${B}", "B": "x"}, "${B}"),  # an expanded value is not expanded again
    ],
)
def test_a_variable_becomes_its_value_or_its_default(tmp_path, written, environment, expected):
    assert load(tmp_path, described(written), **environment).description == expected


def test_the_default_environment_is_the_processs(tmp_path, monkeypatch):
    monkeypatch.setenv("PRECEPTOR_TEST_WORD", "x")
    assert load_study(write(tmp_path, described("${PRECEPTOR_TEST_WORD}"))).description == "x"


def test_variables_can_be_numbers_and_booleans(tmp_path):
    text = replaced(
        ("beta: 3", "beta: '${BETA}'"),
        ("rows: 5", "rows: '${ROWS:-7}'"),
        ("model: ./model", "model: ./model, include_end_of_turn: '${END}'"),
    )
    study = load(tmp_path, text, BETA="0.5", END="true")
    assert (study.car.beta, study.recipes[2].rows, study.bases[0].include_end_of_turn) == (0.5, 7, True)


def test_the_message_shows_the_invalid_value_of_a_variable(tmp_path):
    (problem,) = problems(tmp_path, replaced(("beta: 3", "beta: '${BETA}'")), BETA="-3")
    assert problem[:2] == (20, "car.beta")
    assert "'-3'" in problem.message


def test_a_name_from_a_variable_is_checked_and_can_be_referenced(tmp_path):
    text = VALID.replace("base-b", "${BASE}").replace("name: ${BASE}", "name: '${BASE}'")
    text = text.replace("base: ${BASE}", "base: '${BASE}'")
    assert load(tmp_path, text, BASE="llama").recipes[2].base == "llama"
    paths = [problem.path for problem in problems(tmp_path, text, BASE="../llama")]
    assert paths == ["bases[1].name"]


UNSET = {
    "beta: 3": ("beta: '${A_B}'", (20, "car.beta")),
    "engine: transformers": ("engine: '${A_B}'", (10, "teachers[1].engine")),
    "path: answers.jsonl": ("path: '${A_B}/answers.jsonl'", (8, "teachers[0].path")),
    "base: base-a, recipe: best": ("base: base-a, recipe: '${A_B}'", (29, "runs[0].recipe")),
    "[graded, spare]": ("[graded, 'x${A_B}']", (23, "recipes[1].teachers[1]")),
    "./model": ("'${A_B}'", (15, "bases[0].model")),
}


@pytest.mark.parametrize(("old", "new", "place"), [(old, *rest) for old, rest in UNSET.items()], ids=UNSET)
def test_an_unset_variable_is_named_and_is_the_only_problem_at_its_place(tmp_path, old, new, place):
    (problem,) = problems(tmp_path, replaced((old, new)))
    assert problem[:2] == place
    assert problem.message.startswith("A_B is not set")
    assert "${A_B:-default}" in problem.message


def test_every_unset_variable_of_a_text_is_named(tmp_path):
    assert [problem.message[:1] for problem in problems(tmp_path, described("${A} ${B} ${A}"))] == ["A", "B"]


def test_a_default_holds_for_one_occurrence(tmp_path):
    (problem,) = problems(tmp_path, described("${A:-x} ${A}"))
    assert problem.message.startswith("A is not set")


def test_two_unset_names_are_not_reported_as_repeated(tmp_path):
    text = replaced(
        ("name: judge", "name: '${A}'"), ("name: grades", "name: '${A}'"), ("{graded: someone}", "{}")
    )
    text = text.replace("reward_model: grades", "reward_model: '${A}'")
    found = problems(tmp_path, text)
    assert [problem.path for problem in found] == [
        "reward_models[0].name",
        "reward_models[1].name",
        "car.reward_model",
    ]


SECRETS = [
    "API_KEY",
    "OPENAI_API_KEY",
    "openai_api_key",
    "OPENAI_APIKEY",
    "AWS_ACCESS_KEY_ID",
    "HF_TOKEN",
    "TOKEN",
]
SECRETS += [
    "AWS_SECRET_ACCESS_KEY",
    "CLIENT_SECRET",
    "PASSWORD",
    "PGPASSWORD",
    "DB_PASSWD",
    "GCP_CREDENTIALS",
]


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("written", ["${%s}", "${%s:-default}", "before ${%s} after"])
def test_a_secret_is_refused_and_its_value_is_not_printed(tmp_path, name, written, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    (problem,) = problems(tmp_path, described(written % name), **{name: "s3cret"})
    assert problem[:2] == (2, "description")
    assert problem.message.startswith(f"{name} looks like a secret")
    assert "s3cret" not in problem.message + caplog.text + "".join(capsys.readouterr())


@pytest.mark.parametrize("name", ["TOKENIZER_DIR", "MAX_TOKENS", "MONKEY", "KEYBOARD", "PRECEPTOR_DATA"])
def test_a_name_that_only_resembles_a_secret_expands(tmp_path, name):
    assert load(tmp_path, described(f"${{{name}}}"), **{name: "x"}).description == "x"


def leaves(value, place=()):
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(inner, dict | list):
            yield from leaves(inner, (*place, key))
        else:
            yield *place, key


@pytest.mark.parametrize("place", list(leaves(yaml.safe_load(VALID))), ids=str)
def test_a_secret_is_refused_at_every_place_of_a_study(tmp_path, place):
    document = yaml.safe_load(VALID)
    part = document
    for step in place[:-1]:
        part = part[step]
    part[place[-1]] = "${API_KEY}"
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")
    found = problems(tmp_path, yaml.safe_dump(document), API_KEY="s3cret")
    assert [p.message.startswith("API_KEY looks like a secret") for p in found if p.path == path] == [True]
    assert "s3cret" not in str(found)
