"""The grade in what a judge said: only what is certain counts."""

import pytest

from preceptor.endpoint.grade import read_grade

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


@pytest.mark.parametrize(("said", "grade"), GRADES.items())
def test_a_grade_is_found(said, grade):
    assert read_grade(said) == grade


@pytest.mark.parametrize("said", NO_GRADES)
def test_what_is_no_certain_grade_is_none(said):
    assert read_grade(said) is None
