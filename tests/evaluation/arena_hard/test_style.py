"""Style counts on texts that a reader can count, and features against the formulas written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.evaluation.arena_hard.style import (
    Style,
    standardised,
    style_features,
    style_features_v0,
    style_features_v2,
    style_of,
)

TEXT = """# Title

Some **bold** and __also bold__ but not ** spaced
## Part
1. first
 2. second
- a **b** list
    * nested
+ plus
#no header
####### seven is none
-no item
```python
# a comment, no header
- neither a list
x = "**not bold**"
```
"""
counts = st.lists(st.integers(0, 5000), min_size=4, max_size=4)
pairs = st.lists(st.tuples(counts, counts), min_size=1, max_size=8)


def test_markdown_outside_of_code_is_counted():
    # Headers: Title, Part. Items: 1., 2., -, *, +. Bold: bold, also bold, b.
    assert style_of(TEXT, 77) == Style(tokens=77, headers=2, lists=5, bold=3)


@pytest.mark.parametrize("level", range(1, 7))
def test_headers_have_six_levels(level):
    assert style_of(f"text\n{'#' * level} header", 1).headers == 1


def test_bold_does_not_run_over_lines():
    assert style_of("**a\nb** __c\nd__", 1).bold == 0


def test_code_that_the_answer_repeats_outside_of_its_fence_is_removed_there_too():
    # As the authors do it: "\n# x\n" is the fence's content and goes in both places.
    assert style_of("```\n# x\n``` and\n# x\n", 1).headers == 0


def test_a_fence_with_a_backtick_in_it_is_not_code_to_the_authors():
    assert style_of("```\n- `x`\n```", 1).lists == 1


def test_empty_text_has_no_markdown():
    assert style_of("", 0) == Style(0, 0, 0, 0)


@pytest.mark.parametrize("tokens", [None, -1])
def test_a_style_without_tokens_is_refused(tokens):
    with pytest.raises(ValueError, match="needs its number of tokens"):
        style_of("text", tokens)


@given(st.text(alphabet="#*-_+`1. \nab", max_size=60))
def test_no_text_has_more_markdown_than_characters(text):
    found = style_of(text, 3)
    assert min(found.headers, found.lists, found.bold) >= 0
    assert found.headers + found.lists + found.bold <= len(text)


@given(pairs)
def test_features_of_v0_are_ratios_of_counts(rows):
    model, baseline = (np.array(side, float) for side in zip(*rows, strict=True))
    expected = [[(a - b) / (a + b + 1) for a, b in zip(*row, strict=True)] for row in rows]
    assert style_features_v0(model, baseline) == pytest.approx(np.array(expected), abs=1e-12)


def v2_by_hand(model: list[int], baseline: list[int]) -> list[float]:
    (m, *markdown), (b, *other) = model, baseline
    densities = [(x / (m + 1), y / (b + 1)) for x, y in zip(markdown, other, strict=True)]
    return [(m - b) / (m + b) if m + b else 0, *((x - y) / (x + y + 1) for x, y in densities)]


def test_the_released_v2_formula_divides_markdown_by_tokens_and_one_more():
    """9 tokens and 5 headers against 4 and 1: (5/10 - 1/5) / (5/10 + 1/5 + 1) = 0.3 / 1.7."""
    found = style_features_v2(np.array([[9.0, 5, 0, 0]]), np.array([[4.0, 1, 0, 0]]))
    assert found[0] == pytest.approx([5 / 13, 3 / 17, 0, 0])


@given(pairs)
def test_features_of_v2_are_of_length_and_of_markdown_per_token(rows):
    model, baseline = (np.array(side, float) for side in zip(*rows, strict=True))
    expected = [v2_by_hand(*row) for row in rows]
    assert style_features_v2(model, baseline) == pytest.approx(np.array(expected), abs=1e-12)


@pytest.mark.parametrize("version", ["v0.1", "v2.0"])
@given(rows=pairs)
def test_features_are_finite_and_change_their_sign_when_the_answers_swap(version, rows):
    model, baseline = (np.array(side, float) for side in zip(*rows, strict=True))
    found = style_features(version, model, baseline)
    assert np.abs(found).max() <= 1
    assert style_features(version, baseline, model) == pytest.approx(-found, abs=1e-12)
    assert not style_features(version, model, model).any()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -1])
def test_counts_that_cannot_be_are_refused(wrong):
    model = np.array([[10.0, 1, 2, 3]])
    with pytest.raises(ValueError, match="style counts must be 0 or more and finite"):
        style_features("v0.1", model, np.where(model == 2, wrong, model))


@pytest.mark.parametrize(("version", "ddof"), [("v0.1", 0), ("v2.0", 1)])
def test_standardised_features_have_mean_0_and_deviation_1_over_battles(version, ddof):
    generator = np.random.default_rng(0)
    features, weight = generator.normal(3, 2, (50, 4)), generator.choice([1, 3], 50)
    found = np.repeat(standardised(version, features, weight.astype(float)), weight, axis=0)
    assert found.mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-12)
    assert found.std(axis=0, ddof=ddof) == pytest.approx(np.ones(4), abs=1e-12)
