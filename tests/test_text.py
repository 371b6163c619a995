"""Text before it is stored, compared or hashed."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from preceptor.text import digest, normalise, repair

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # lone surrogates too
STORABLE = st.text(st.characters(codec="utf-8"))


def test_repair_replaces_lone_surrogates_and_nothing_else():
    assert repair("a\ud800b\udfff\u2028\x85\U0001f600") == "a\ufffdb\ufffd\u2028\x85\U0001f600"


@given(ANY_TEXT)
def test_repaired_text_can_be_stored_and_keeps_its_length(text):
    repaired = repair(text)
    assert repaired.encode().decode() == repaired
    assert len(repaired) == len(text)


@given(STORABLE)
def test_repair_leaves_storable_text_alone(text):
    assert repair(text) == text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Write a Poem", "write a poem"),
        ("STRASSE", "straße"),
        ("ΟΔΟΣ", "οδος"),
        ("a  b\t\nc ", "a b c"),
        ("a\u00a0b\u2028c\x85d", "a b c d"),
        ("\u3000a", "a"),
        ("ﬁne １２", "fine 12"),
        ("e\u0301", "\u00e9"),
    ],
)
def test_case_blanks_and_compatibility_forms_do_not_tell_texts_apart(one, other):
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"), [("a b", "ab"), ("a.", "a"), ("a b", "b a"), ("é", "e"), ("1", "2")]
)
def test_words_punctuation_accents_and_order_do(one, other):
    assert normalise(one) != normalise(other)


@given(STORABLE)
@example("\u1f88\u0304")  # its case folding can be composed anew
def test_normalising_twice_is_normalising_once(text):
    assert normalise(normalise(text)) == normalise(text)


@given(STORABLE)
def test_canonically_equal_texts_normalise_alike(text):
    assert normalise(unicodedata.normalize("NFD", text)) == normalise(text)


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.data())
def test_digest_tells_every_split_of_a_text_apart(text, data):
    first, second = data.draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=2, unique=True))
    splits = [(text[:cut], text[cut:]) for cut in (first, second)]
    assert len({digest(*split) for split in (*splits, (text,), (text, "", ""))}) == 4


def test_digest_never_changes_because_stored_ids_are_made_of_it():
    assert digest() == "e3b0c44298fc1c14"  # SHA-256 of nothing
    assert digest("a", "bé") == "3b75bacc19ab2d50"
