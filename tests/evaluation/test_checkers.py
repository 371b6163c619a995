"""A right answer counts however it is worded; a wrong one, and a list of all possible ones, never do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preceptor.evaluation.checkers import contains, exact, final_answer, number

STYLES = {
    "terse": "{}",
    "plain": "The answer is {}.",
    "chatty": "Sure, happy to help! The answer is {}. Have a nice day!",
    "steps": "From the end: first this, then that. So the answer is {}.",
    "many lines": "Step 1: look at 7 things.\nStep 2: count them..\n\n{}\n",
    "marked line": "Let us think.\n**Answer:**\nanswer: {}\n\nI hope that this helps.",
}
word = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8).filter(
    lambda w: w not in ("answer", "is")
)
word_lists = st.lists(word, min_size=1, max_size=5).map(" ".join)
numbers = st.one_of(
    st.integers(-(10**9), 10**9),
    st.decimals(-(10**6), 10**6, places=2, allow_nan=False, allow_infinity=False),
)
quick = settings(max_examples=60)


@pytest.mark.parametrize("style", STYLES)
@quick
@given(right=word_lists, wrong=word_lists)
def test_words_are_taken_in_every_style_and_only_the_right_ones(style, right, wrong):
    response = STYLES[style].format(right)
    assert exact(response, right)
    assert exact(response, wrong) == (wrong == right)
    assert contains(response, "|".join(right.split()))


@pytest.mark.parametrize("style", STYLES)
@quick
@given(right=numbers, wrong=numbers)
def test_numbers_are_taken_in_every_style_and_only_the_right_ones(style, right, wrong):
    for written in (str(right), f"{right:,}"):
        response = STYLES[style].format(written)
        assert number(response, str(right))
        assert number(response, str(wrong)) == (wrong == right)


@quick
@given(
    st.lists(st.integers(0, 999), min_size=2, max_size=20, unique=True),
    st.sampled_from([", ", " ", "/", " or ", ", and ", "; ", "-"]),
    st.sampled_from(list(STYLES.values())),
)
def test_a_list_of_every_possible_answer_is_refused(possible, between, style):
    listed = style.format(between.join(map(str, possible)))
    assert not any(number(listed, str(answer)) for answer in possible)
    assert not any(exact(listed, str(answer)) for answer in possible)


@quick
@given(st.lists(word, min_size=2, max_size=20, unique=True), st.sampled_from(list(STYLES.values())))
def test_a_list_of_every_possible_word_is_refused(possible, style):
    listed = style.format(" ".join(possible))
    assert not any(exact(listed, answer) for answer in possible)


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("The answer is 3.14. The end.", "3.14"),  # a decimal point ends no sentence
        ("The ANSWER IS: x", "x"),
        ("Answer:\n\n42", "42"),
        ("The answer is 1. No: the answer is 2. Sorry.", "2"),
        ("x is big. y is not", "x is big"),
        ("I think.\nSo it is y. Good.\n", "So it is y"),
        ("The answer is a\nb", "a"),
        ("The answer is", ""),
        ("", ""),
    ],
)
def test_the_final_answer_is_one_sentence(response, answer):
    assert final_answer(response) == answer


@pytest.mark.parametrize(
    ("response", "answer", "right"),
    [
        ("12", "12.5", False),
        ("12.50", "12.5", True),
        ("1,234", "1234", True),
        ("$1,234.00 dollars", "1234", True),
        ("-3", "3", False),
        ("−3", "-3", True),  # U+2212
        ("10-3 = 7", "7", True),
        ("7 apples and 5 pears make 12", "12", True),
        ("it is 3 or 4", "4", False),
        ("no idea", "4", False),
        ("0.5", ".5", True),
        ("１２", "12", True),  # full width
    ],
)
def test_numbers_are_compared_by_value(response, answer, right):
    assert number(response, answer) == right


@pytest.mark.parametrize(
    ("response", "answer", "right"),
    [
        ('The answer is "Red  fox."', "Red fox", True),
        ("red fox", "Red fox", False),
        ("Red fox", "Red fox.", True),
        ("ﬁve", "five", True),  # a ligature
        ("the red fox", "red fox", False),
    ],
)
def test_exact_forgives_blanks_quotes_and_the_last_full_stop(response, answer, right):
    assert exact(response, answer) == right


@pytest.mark.parametrize(
    ("response", "answer", "right"),
    [
        ("It keeps the RAIN off", "rain|off", True),
        ("It keeps the rain", "rain|off", False),
        ("It was raining, so off", "rain|off", False),  # whole words
        ("Rain. The answer is snow.", "rain", False),  # outside the final answer
        ("New York is big", "new  york", True),
        ("anything", "", False),
        ("C++ (fast)", "c++", True),
    ],
)
def test_contains_wants_every_keyword_as_a_whole_word(response, answer, right):
    assert contains(response, answer) == right
