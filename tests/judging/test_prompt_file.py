"""Prompt files: their required fields, their hash, and how a verdict is read from an answer."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from preceptor.judging.prompt_file import BUILT_IN, PromptError, PromptFile, read_prompt

OWN = {
    "name": "own",
    "version": 3,
    "kind": "duel",
    "labels": {"first": 1, "second": 0},
    "user": "{instruction}\n1: {answer_a}\n2: {answer_b}\n{form}",
}
MARKED = OWN | {
    "labels": {"A>B": 1, "B>A": 0},
    "user": "{data}",
    "pattern": r"\[\[([AB<>=]+)\]\]",
}


def written(tmp_path, document) -> str:
    path = tmp_path / "prompt.yaml"
    path.write_text(yaml.safe_dump(document))
    return str(path)


@pytest.mark.parametrize("protocol", sorted(file.stem for file in BUILT_IN.glob("*.yaml")))
def test_every_built_in_file_is_valid_and_names_its_verdicts(protocol):
    prompt = read_prompt(None, protocol)
    assert prompt.name == protocol
    asked = prompt.response_format["json_schema"]["schema"]["properties"]
    assert list(asked) == ["reasoning", "score" if protocol == "reward" else "verdict"]
    assert [str(value) for value in asked.popitem()[1]["enum"]] == list(prompt.labels)
    assert all(label in prompt.form for label in list(prompt.labels)[:: len(prompt.labels) - 1])


def test_a_files_hash_changes_with_its_contents_and_not_with_its_path(tmp_path):
    prompt = read_prompt(written(tmp_path, OWN), "duel")
    (tmp_path / "elsewhere").mkdir()
    assert read_prompt(written(tmp_path / "elsewhere", OWN), "duel").hash == prompt.hash
    for change in ({"version": 4}, {"user": OWN["user"] + "!"}, {"reasoning": False}, {"system": "Be fair."}):
        assert read_prompt(written(tmp_path, OWN | change), "duel").hash != prompt.hash


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user": "{data}"}, "{form} .* 'pattern'"),
        ({"pattern": "(first|second)"}, "{form} .* 'pattern'"),
        ({"user": "Who wins? {form}"}, "{data}.* {instruction}, {answer_a}, {answer_b}"),
        ({"labels": {"first": 1}}, "'labels' needs at least two verdicts"),
        ({"rubric": "Be fair."}, "'rubric'"),
        ({"kind": "reward"}, "{data}.* {rubric}, {mark}, {conversation}"),
        ({"labels": {"first": 2, "second": 0}}, "0 .B wins. to 1 .A wins."),
        ({"pattern": "verdict: .*", "user": "{data}"}, "exactly one group"),
        ({"pattern": "("}, "pattern.*regular expression"),
        ({"labels": "first"}, "labels"),
        ({"colour": "red"}, "colour"),
        ({"version": 0}, "version"),
    ],
)
def test_an_invalid_file_is_named_with_the_problem(tmp_path, change, message):
    with pytest.raises(PromptError, match=f"prompt file .*prompt.yaml: .*{message}"):
        read_prompt(written(tmp_path, OWN | change), "duel")


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(PromptError, match=r"prompt file .*absent.yaml: .*No such file"):
        read_prompt(str(tmp_path / "absent.yaml"), "duel")
    (tmp_path / "broken.yaml").write_text("name: [")
    with pytest.raises(PromptError, match=r"prompt file .*broken.yaml"):
        read_prompt(str(tmp_path / "broken.yaml"), "duel")


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ('{"reasoning": "…", "verdict": "first"}', "first"),
        ('Well: {"verdict": "second"}. That is all.', "second"),
        ('<think>{"verdict": "second"}</think>{"verdict": "first"}', "first"),
        ('{"verdict": "first"} or {"verdict": "second"}', None),
        ('{"verdict": "third"}', None),
        ('{"winner": "first"}', None),
        ("first", None),
        ("", None),
    ],
)
def test_a_verdict_is_read_from_json(answer, label):
    assert PromptFile.model_validate(OWN).label(answer) == label


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("My verdict is [[A>B]].", "A>B"),
        ("[[A>B]], so [[A>B]]", "A>B"),
        ("[[A>B]] or [[B>A]]", None),
        ("[[A>>B]]", None),  # not a label of this file
        ("A>B", None),
    ],
)
def test_a_verdict_is_read_by_a_pattern(answer, label):
    prompt = PromptFile.model_validate(MARKED)
    assert prompt.label(answer) == label
    assert prompt.response_format is None


GRADES = {
    '{"reasoning": "fine", "score": 7}': 7,
    '{"score": 7.0}': 7,
    '{"score": "7"}': 7,
    '{"score": " 10 "}': 10,
    'Here it is:\n```json\n{"reasoning": "a {brace} and \\"quotes\\"", "score": 1}\n```\nDone.': 1,
    '{"reasoning": "two\nlines", "score": 3}': 3,
    '<think>maybe {"score": 9}</think>{"score": 4}': 4,
    '{"score": 6} and once more {"score": 6}': 6,
    '{"note": 1} {"score": 2}': 2,
}
NO_GRADES = [
    '{"score": 0}',
    '{"score": 11}',
    '{"score": -7}',
    '{"score": 7.5}',
    '{"score": true}',
    '{"score": "7/10"}',
    '{"score": "seven"}',
    '{"score": "٧"}',
    '{"score": null}',
    '{"score": [7]}',
    '{"score": NaN}',
    '{"score": Infinity}',
    '{"score": ' + "9" * 5000 + "}",
    '{"reasoning": "cut off',
    '{"reasoning": "it says {\\"score\\": 10} but cut off',
    '{"score": 10} says the response; {"score": 2}',
    '{"verdict": {"score": 10}}',
    '<think>{"score": 9} and never an end',
    '{"a":' * 3000,
    "7",
    "[7]",
    "",
]


@pytest.mark.parametrize(("answer", "grade"), GRADES.items())
def test_a_grade_is_read_however_its_number_is_written(answer, grade):
    assert read_prompt(None, "reward").label(answer) == str(grade)
    labels = {f"{n}": n / 10 for n in range(1, 11)}
    verdict = answer.replace("score", "verdict")
    assert PromptFile.model_validate(OWN | {"labels": labels}).label(verdict) == str(grade)


@pytest.mark.parametrize("answer", NO_GRADES)
def test_an_unclear_grade_is_none(answer):
    assert read_prompt(None, "reward").label(answer) is None


@given(st.sampled_from(["first", "second"]), st.text(max_size=60))
def test_a_verdict_is_read_after_any_text(label, noise):
    answer = noise.replace("{", "") + json.dumps({"reasoning": noise, "verdict": label})
    assert PromptFile.model_validate(OWN).label(answer.replace("<think>", "")) == label
