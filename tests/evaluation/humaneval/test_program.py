"""Completions of every form become the program that the paper runs; each program here is run for real."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.evaluation.humaneval.problems import Problem
from preceptor.evaluation.humaneval.program import STOPS, program, until_stop

PROMPT = '''import math


def half(x: float) -> float:
    return x / 2


def area(r: float) -> float:
    """The area of a circle.

    >>> area(0)
    0.0
    """
'''
TEST = "def check(candidate):\n    assert candidate(2) == math.pi * 4 and half(4) == 2\n"
PROBLEM = Problem("circle", PROMPT, "area", "    return math.pi * r**2\n", TEST)
BODY = "    square = r**2\n    return math.pi * square\n"
WHOLE = f"def area(r: float) -> float:\n{BODY}"


def passes(completion: str) -> bool:
    """Whether the program ends; the completions are this file's own, so no sandbox is needed."""
    try:
        exec(compile(program(PROBLEM, completion), "program", "exec"), {})
    except (AssertionError, SyntaxError, NameError):
        return False
    return True


def test_a_body_stands_between_the_prompt_and_the_tests():
    assert program(PROBLEM, BODY) == f"{PROMPT}{BODY}\n{TEST}\ncheck(area)\n"


@pytest.mark.parametrize("stop", STOPS)
def test_a_completion_ends_before_each_stop(stop):
    assert until_stop(f"    return r{stop} and more\ndef f") == "    return r"
    assert passes(f"{BODY}{stop} no Python, if it were not cut")


@given(
    st.lists(st.sampled_from([*STOPS, "\n", " ", "x", "\n    if", "de", "f", "#"]), max_size=12).map("".join)
)
def test_what_is_left_reaches_to_the_first_stop_or_the_end(completion):
    left = until_stop(completion)
    assert completion.startswith(left)
    assert not any(stop in left for stop in STOPS)
    assert left == completion or any(completion.startswith(left + stop) for stop in STOPS)


@pytest.mark.parametrize(
    "completion",
    [
        BODY,
        f"\n\n{BODY}",
        BODY[1:],  # a tokenizer's decoding loses the first blank
        BODY.strip(),  # a chat format loses all of them
        f"{BODY}```\n\nThis squares the radius.",
        f"{BODY}\n\ndef area(r):\n    return 0\n",  # what a base model rambles on with does not count
        WHOLE,
        f"import math\n\n{WHOLE}",
        f"```python\n{WHOLE}```",
        f"Here you are:\n\n```python\n{WHOLE}```\n\nIt uses `math.pi`.\n\n```\narea(2)\n```",
        f"Install nothing:\n```bash\necho\n```\nthen\n```py\n{WHOLE}```",
        f"```\n{BODY}```",
        f"```python\n{WHOLE}",  # cut off at the token limit, but complete
        f"```python\ndef square(x):\n    return x * x\n\n{WHOLE}\n# end\nprint(area(1))\n```",
        "1. So:\n   ```python\n" + "".join(f"   {line}\n" for line in WHOLE.splitlines()) + "   ```\n",
        f"```python\n{WHOLE}```".replace("\n", "\r\n"),
        f"~~~python\n{PROMPT}{BODY}~~~",
    ],
)
def test_a_right_answer_passes_in_every_form(completion):
    assert passes(completion)


@pytest.mark.parametrize(
    "completion",
    ["", "    pass\n", "I cannot do that.", "```python\n```", WHOLE.replace("**2", "**3"), "```"],
)
def test_a_wrong_answer_fails_in_every_form(completion):
    assert not passes(completion)


@given(st.text(max_size=60))
def test_any_text_leaves_the_prompt_and_the_tests_whole(completion):
    made = program(PROBLEM, completion)
    assert made.startswith(PROMPT) and made.endswith(f"\n{TEST}\ncheck(area)\n")
