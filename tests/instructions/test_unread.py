"""Text in columns that nothing reads: what counts as text, and which setting the sentence names."""

import pytest

from preceptor.instructions.conversation import Conversation
from preceptor.instructions.formats import read_conversation
from preceptor.instructions.layout import RecordError, layout
from preceptor.instructions.unread import cure, refuse_unread, unread_text
from preceptor.study.conversations import Columns

PLAIN = layout("plain")
NOTHING = Conversation(None, None, (), ())
TEXT = {
    "context": "cat",  # called like a prompt: any text
    "modelInput": "cat",
    "system_prompt": "Be brief",
    "choices": ["a", "b"],
    "note": "It rains.",
    "remark": "two\nlines",
    "other": "six words that tell of something",
    "word": "x" * 61,
    "zusatz": "请把这个句子翻译成英文吧",
    "extra": {"inner": [{"deep": "A sentence."}]},
    "category": "x" * 101,
}
NO_TEXT = {
    "id": "a b c d e f g h",
    "question_id": "81",
    "score": 3.5,
    "flag": True,
    "nothing": None,
    "empty": " ",
    "category": "ABC Sequence Puzzles & Groups of Many",
    "source": "Stack Exchange",
    "author": "Jane Doe",
    "url": "https://example.org/a/b",
    "created": "2024-01-01 12:00:00",
    "tags": ["open qa", "long form"],
    "meta": {"split": "train", "n": 5},
    "avatarUrl": "https://lh3.example.org/a/" + "x" * 100,
    "hashed_ip": "9" + "af" * 40,
    "ignored": "A sentence.",
}


def unread(row, layout, answers_count=True) -> list[str]:
    return unread_text(row, layout, read_conversation(row, layout), answers_count)


@pytest.mark.parametrize("column", TEXT)
def test_a_column_that_could_be_part_of_the_prompt_is_named(column):
    row = {"instruction": "Hi", column: TEXT[column]}
    assert unread(row, PLAIN, answers_count=False) == [column]
    with pytest.raises(RecordError, match=rf"column '{column}' holds text that nothing reads: .*'ignore: "):
        refuse_unread(row, PLAIN, NOTHING)
    assert unread(row, layout("plain", ignore=[column]), answers_count=False) == []


@pytest.mark.parametrize("column", NO_TEXT)
def test_ids_numbers_labels_and_what_the_study_ignores_are_no_nuisance(column):
    row = {"instruction": "Hi", column: NO_TEXT[column]}
    assert unread(row, layout("plain", ignore=["ignored"]), answers_count=True) == []


def test_answers_are_none_of_an_instruction_sources_text_but_count_in_recordings():
    row = {"instruction": "Hi", "answer": "It is a long answer."}
    assert unread(row, PLAIN, answers_count=False) == []
    assert unread(row, PLAIN, answers_count=True) == ["answer"]
    said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho, ho, I say."}]
    pair = {"messages": said, "chosen": said, "rejected": [said[0], {**said[1], "content": "Go away now."}]}
    assert unread(pair, layout("messages"), answers_count=False) == []
    assert unread(pair, layout("messages"), answers_count=True) == ["chosen", "rejected"]


def test_what_a_format_reads_or_is_known_to_carry_is_not_named():
    row = {"instruction": "Hi there, you.", "output": "A b.", "generator": "A model of mine, the best one."}
    assert unread(row, layout("alpaca_eval"), answers_count=True) == []
    question = {"question_id": 1, "turns": ["Why?"], "reference": ["Because it is."], "category": "a b"}
    assert unread(question, layout("fastchat"), answers_count=True) == []


def test_keys_of_messages_count_too():
    message = {"role": "user", "content": "Hi", "context": "A page.", "weight": 1, "name": "Ann"}
    row = {"messages": [message, {"role": "assistant", "content": "Ho", "thinking": "He says hi."}]}
    assert unread(row, layout("messages"), True) == ["messages[].context", "messages[].thinking"]
    known = layout("messages", ignore=["messages[].context", "messages[].thinking"])
    assert unread(row, known, True) == []


def test_a_copy_of_what_is_read_is_not_lost():
    row = {"prompt": "Why is it so? ", "messages": [{"role": "user", "content": "Why is it so?"}]}
    assert unread(row, layout("messages")) == []
    assert unread({**row, "prompt": "Why is it?"}, layout("messages")) == ["prompt"]


@pytest.mark.parametrize(
    ("format", "column", "expected"),
    [
        ("plain", "context", "'columns: {input: context}'"),
        ("plain", "system_prompt", "'columns: {system: system_prompt}'"),
        ("plain", "answer", "'columns: {response: answer}'"),
        ("plain", "output", "'format: alpaca' or 'columns: {response: output}'"),
        ("plain", "instances", "'format: alpaca' reads it"),
        ("messages", "context", "'columns: {system: context}' reads it"),
        ("messages", "messages[].context", "'ignore: [messages[].context]' leaves it out"),
    ],
)
def test_the_sentence_names_the_setting_that_reads_the_column(format, column, expected):
    assert cure(column, layout(format)).startswith(expected)


def test_a_column_that_is_taken_is_not_offered_again():
    assert "input" not in cure("context", layout("plain", Columns(input="passage")))
