"""A right answer counts in any wording. A wrong answer, or a list of all possible answers, never counts."""

import re
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from preceptor.evaluation.checkers import CHECKS, contains, exact, final_answer, number, refusal
from preceptor.evaluation.numbers import plain_number
from preceptor.text import fold

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
def test_only_the_right_words_count_in_every_style(style, right, wrong):
    response = STYLES[style].format(right)
    assert exact(response, right)
    assert exact(response, wrong) == (wrong == right)
    assert contains(response, "|".join(right.split()))


@pytest.mark.parametrize("style", STYLES)
@quick
@given(right=numbers, wrong=numbers)
def test_only_the_right_number_counts_in_every_style(style, right, wrong):
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
@example([4, 2], "/", "{}")
@example([0, 1], "/", "{}")
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
        ("The answer is 3.14. The end.", "3.14"),  # a decimal point does not end a sentence
        ("The ANSWER IS: x", "x"),
        ("Answer:\n\n42", "42"),
        ("The answer is 1. No: the answer is 2. Sorry.", "2"),
        ("x is big. y is not", "x is big"),
        ("I think.\nSo it is y. Good.\n", "So it is y"),
        ("The answer is a\nb", "a"),
        ("The answer is", ""),
        ("The answer isn't 5", "The answer isn't 5"),
        ("", ""),
        ("The answer is 5. No, wait: 12.", "12"),
        ("The answer is 5. Oops! Correction: it is 12. Bye", "it is 12"),
        ("It is 5. Wait, no. It is 12.", "It is 12"),
        ("The answer is 5. No problem!", "5"),
        ("The answer is 5. No.", "5"),
        ("**Answer:** B", "B"),
        ("So it is\n```\n12\n```", "12"),
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
        ("#### 18", "18", True),
        ("<<2+3=5>>5", "5", True),
        ("3.0", "3", True),
        ("2 + 2 is 4", "4", True),
        ("add 5 to get 12", "12", True),
        ("1\u202f234", "1234", True),  # a blank that groups thousands
        ("1{,}234", "1234", True),
        ("**5**", "5", True),
        ("\\boxed{42}", "42", True),
        ("COVID-19", "19", False),
        ("B2", "2", False),
        ("9" * 5000, "9", False),
        ("so 88-12 = 10 dogs are not doing anything", "10", True),
        ("5 dogs of a + b = 12 are left", "12", True),
        ("the total - 12", "12", True),
        ("12 \\text{ cm}", "12", True),
        ("\\therefore x \\approx 12", "12", True),
        ("x - 3 = 12", "12", True),
        ("a *12*", "12", True),
    ],
)
def test_numbers_are_compared_by_value(response, answer, right):
    assert number(response, answer) == right


VALUES = {  # the value that a person would read
    **{
        "25 m²": 25,
        "25 m^2": 25,
        "25m2": 25,
        "9 kg/m3": 9,
        "9.8 m/s^2": "9.8",
        "9.8 m s⁻²": "9.8",
        "5 °C": 5,
    },
    **{"25\\text{ cm}^2": 25, "42^\\circ": 42, "1.5 L of CO2": "1.5", "5km/h": 5, "21st": 21},
    **{"2 x 10^5": 200_000, "3e5": 300_000, "3*10**5": 300_000, "10⁵": 100_000, "3 × 10⁻²": "0.03"},
    **{"3.0e8 m/s": 300_000_000, "7²": 49, "2^10": 1024, "0.00001": "1e-05", "1e-05": "0.00001"},
    **{"1/2": "0.5", "½": "0.5", "2½": "2.5", "2 1/2 cups": "2.5", "\\frac{1}{2}": "0.5", "10/4": "2.5"},
    **{"5 million": 5_000_000, "5 hundred thousand": 500_000, "$2.5M": 2_500_000, "5k": 5000, "5 K": 5},
    **{"$5": 5, "US$5": 5, "5 €": 5, "-$5": -5, "$-5": -5, "5%": 5, "5 %": 5, "20 percent": 20},
    **{"$2.5 M": 2_500_000, "$1.5m": 1_500_000, "1.5 times 10^3": 1500, "12\\frac{3}{4}": "12.75"},
    **{"5 cm<sup>2</sup>": 5, "5<sup>2</sup>": 25, "<b>5</b>": 5, "~~3~~ 5": 5, "_5_": 5},
    **{"–3": -3, "−3": -3, "minus 3": -3, "negative 3 degrees": -3, "y = -2": -2, "5!": 5, "(5)": 5},
}
NO_NUMBER = [  # no number, several numbers, or only a bound
    *("6:30", "5:30 pm", "2h30", "2 hours 30 minutes", "5 feet 3 inches", "5'3\"", "3 dollars and 50 cents"),
    *(
        "3-5",
        "3–5",
        "3 to 5",
        "3…5",
        "between 3 and 5",
        "3 cm or 4 cm",
        "5%-6%",
        "5 ± 1",
        "5 out of 8",
        "5 of 8",
    ),
    *("1.2.3", "1_234", "1 234", "12,34", "1.234,56", "2024-05-06", "5/6/2024", "3:5", "0x1F", "1/0", "0^-1"),
    *("3 x 10", "3x4", "10-3", "2^x", "(-3)^2", "5₂", "√16", "square root of 16", "half of 10", "7 squared"),
    *(
        "at least 5",
        "more than 5",
        "5+",
        "<5",
        "> 5",
        "not 5",
        "5 or more",
        "5 and a half",
        "5 tenths",
        "- 3",
    ),
    *("0,123", "17 May 2024", "3∶4", "3 against 4", "3 then 4", "3, maybe 4", "3? 4?", "3 if even, else 4"),
    *("1.5 e10", "1.5 E 10", "5 mil", "5 k", "5 thousand and 3", "5 million, 300 thousand", "two hundred 5"),
    *(
        "5 thousand three hundred",
        "5 times ten",
        "\\frac 12",
        "\\frac{x}{2}",
        "\\sqrt[3]{8}",
        "2\\pi",
        "2π",
        "3x",
    ),
    *("x/3", "x + 3", "x - 3", "π/3", "pi/4", "log 5", "sin(30°)", "f(5)", "5 mod 3", "3 instead of 5", "3̅"),
    *("12 is wrong", "12 is not it", "it cannot be 12", "\\neq 12", "/= 12", "less than or equal to 12"),
    *("12 at most", "12 or above", "12 and up", "12+ years", "beyond 12", "exceeding 12", "a multiple of 12"),
    *("divisible by 12", "a third of 12", "two times 12", "12 times two", "the square of 12", "12 halves"),
    *("1 hour and a half", "5′3″", "5 remainder 3", "5 R 3", "5 with 3 left over", "12 below zero", "12 [1]"),
    *("it could be 3 or it could be 4", "~~5~~", "<s>5</s>", "H<sub>2</sub>"),
    *("10 to the power of 5", "half past 5", "2^99999999999999", "5 g per 100 g", "m^2", "x2"),
]


@pytest.mark.parametrize("written", VALUES)
def test_a_formatted_number_has_only_its_own_value(written):
    digits = [part for part in re.split(r"[^0-9.]+", fold(written)) if part.strip(".")]
    for style in STYLES.values():
        assert number(style.format(written), str(VALUES[written]))
        for other in digits:  # the single numbers in its text do not count
            same = plain_number(other) == plain_number(str(VALUES[written]))
            assert number(style.format(written), other) == same


@pytest.mark.parametrize("written", NO_NUMBER)
def test_a_text_that_is_not_one_number_is_never_right(written):
    for style in STYLES.values():
        for other in re.findall(r"\d+(?:\.\d+)?", written):
            assert not number(style.format(written), other)
            assert not number(style.format(written), f"-{other}")


@quick
@given(
    st.integers(0, 999),
    st.integers(0, 999),
    st.sampled_from(["m^2", "m²", "m2", "kg/m3", "kg/m³", "m/s^2", "m s^-2", "m s⁻²", "cm3", "°C", "%", "€"]),
    st.sampled_from(["{} {}", "{}{}", "**{} {}**", "about {} {}"]),
)
def test_the_digits_of_a_unit_are_not_an_answer(right, wrong, unit, form):
    response = f"The answer is {form.format(wrong, unit)}."
    assert number(response, str(right)) == (right == wrong)


@quick
@given(st.integers(-99, 99), st.integers(-20, 20), st.integers(-99, 99), st.integers(-20, 20))
def test_powers_of_ten_are_equal_where_their_values_are(mantissa, exponent, other, power):
    raised = str(power).translate(str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"))
    same = Fraction(mantissa) * Fraction(10) ** exponent == Fraction(other) * Fraction(10) ** power
    for form in (
        f"{other}e{power}",
        f"{other} x 10^{power}",
        f"{other} × 10{raised}",
        f"{other}*10**{power}",
    ):
        assert number(f"The answer is {form}.", f"{mantissa}e{exponent}") == same


@quick
@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e30, max_value=1e30))
def test_a_number_is_right_in_short_and_in_full_notation(value):
    assert number(f"The answer is {value!r}.", str(value))
    if abs(value) > 1e-60:
        assert number(f"The answer is {format(Decimal(repr(value)), 'f')}.", str(value))


@quick
@given(st.text(max_size=200), st.sampled_from(["5", "-1", "0.5"]))
def test_checkers_accept_any_text(response, answer):
    for check in CHECKS.values():
        assert check(response, answer) in (True, False)


@pytest.mark.parametrize(
    ("check", "answer", "usable"),
    [
        *(("number", text, True) for text in ("5", "-1,234.5", "−3", "1e-05", ".5", " 7 ", "１２")),
        *(
            ("number", text, False)
            for text in ("25 m^2", "7 kg/m3", "3 x 10^5", "5:30", "7²", "5%", "$5", "½")
        ),
        *(
            ("number", text, False)
            for text in ("1/2", "3-5", "five", "5 apples", "1 234", "nan", "inf", "1_000")
        ),
        ("exact", "25 m²", True),
        ("regex", "5", False),
    ],
)
def test_an_answer_of_check_number_is_one_plain_number(check, answer, usable):
    assert (refusal(check, answer) is None) == usable


@pytest.mark.parametrize(
    ("response", "answer", "right"),
    [
        ('The answer is "Red  fox."', "Red fox", True),
        ("red fox", "Red fox", False),
        ("Red fox", "Red fox.", True),
        ("ﬁve", "five", True),  # a ligature
        ("the red fox", "red fox", False),
        ("caf\u00e9", "cafe\u0301", True),  # one letter, two encodings
        ("−3", "-3", True),
        ('"."', ".", True),
        ("7²", "72", False),
        ("x²", "x2", False),
        ("H₂O", "H2O", False),
        ("2½", "21/2", False),
        ("½", "1/2", False),
        ("②", "2", False),
        ("f'", "f", False),  # a derivative
        ('5"', "5", False),  # inches
        ("'5'", "5", True),
        ("“five.”", "five", True),
        ("5", "5.", True),
        ("", ".", False),
        ('"."', ".", True),
        ("", '""', False),
        ('"."', ".", True),
        ("**B**", "B", True),
        ("$\\boxed{B}$", "B", True),
        ("A or B", "B", False),
        ("not B", "B", False),
        ("2**3", "23", False),
        ("init", "__init__", False),
        ("1e-05", "0.00001", False),  # it compares text, not values
    ],
)
def test_exact_ignores_blanks_quotes_and_the_last_full_stop(response, answer, right):
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
        ("it costs 1,500", "500", False),  # part of a number
        ("at 5:30", "30", False),
        ("it is -5", "5", False),
        ("it is 5.5", "5", False),
        ("it is 1/5", "5", False),
        ("5²", "52", False),
        ("3, 4 and 5", "5|3", True),
        ("it is 5\u202f000", "5", False),
        ("1'500", "500", False),
        ("1 234", "234", False),
        ("±5", "5", False),
        ("C++ or C#", "c", False),
        ("in C, it is", "c", True),
        ("you can't, or can’t yet", "can", False),
        ("a can's lid", "can", True),
    ],
)
def test_contains_needs_every_keyword_as_a_whole_word(response, answer, right):
    assert contains(response, answer) == right
