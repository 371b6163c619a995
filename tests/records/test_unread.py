"""Text in columns that nothing reads: what counts as text, and which setting the sentence names."""

import pytest

from preceptor.records.cure import cure
from preceptor.records.formats import read_conversation
from preceptor.records.layout import Conversation, RecordError, layout
from preceptor.records.unread import refuse_unread, unread_text
from preceptor.records.unread_count import UnreadCount
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
    "pairs": [("key", "A sentence.")],  # a map of Parquet
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
    return [found.column for found in unread_text(row, layout, read_conversation(row, layout), answers_count)]


@pytest.mark.parametrize("column", TEXT)
def test_a_column_that_could_be_part_of_the_prompt_is_named(column):
    row = {"instruction": "Hi", column: TEXT[column]}
    assert unread(row, PLAIN, answers_count=False) == [column]
    with pytest.raises(
        RecordError, match=rf"column '{column}' contains text that nothing reads: .*'ignore: "
    ):
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
        ("plain", "answer_b", "'columns: {response: answer_b}' reads it"),
        ("plain", "targets", "'columns: {response: targets}' reads it"),
        ("plain", "output", "'format: alpaca' or 'columns: {response: output}'"),
        ("plain", "instances", "'format: alpaca' reads it"),
        ("messages", "context", "'columns: {system: context}' reads it"),
        ("messages", "answer", "'ignore: [answer]' ignores it"),
        ("messages", "messages[].context", "'ignore: [\"messages[].context\"]' ignores it"),
        ("plain", "prompt", "'columns: {input: prompt}' (or system) reads it as part of the prompt"),
        ("plain", "context: notes", "'columns: {input: \"context: notes\"}' (or system) reads it"),
    ],
)
def test_the_sentence_names_the_setting_that_reads_the_column(format, column, expected):
    assert cure(column, layout(format)).startswith(expected)


def test_the_settings_offered_keep_what_the_study_says_already():
    known = layout("plain", Columns(instruction="Question"), ignore=["notes"])
    sentence = cure("GPT-4 answer", known)
    assert "'columns: {instruction: Question, response: GPT-4 answer}' reads it" in sentence
    assert "'ignore: [notes, GPT-4 answer]' ignores it" in sentence


def test_several_columns_that_nothing_reads_have_one_setting_that_leaves_out_all():
    wide = [
        {"instruction": f"Say {n}.", "GPT-4": f"It is {n}.", "Claude": f"So {n} it is."} for n in range(9)
    ]
    *_, last = counted(wide, PLAIN).losses(9, PLAIN)
    assert last == "'ignore: [Claude, GPT-4]' ignores all of them"


BARE = "Below is an instruction.\n\n### Instruction:\n{instruction}\n\n### Response:\n{output}"
RENDERED = BARE.replace("### Response", "### Input:\n{input}\n\n### Response")


def tasks(*, rendered=lambda row: (RENDERED if row["input"] else BARE).format(**row)) -> list[dict]:
    """Rows as Alpaca's: half of them with an input, and with short answers that stand elsewhere too."""
    rows = [
        {"instruction": f"Name {n}.", "input": f"of {n}" if n % 2 else "", "output": f"a {n}"}
        for n in range(1, 9)
    ]
    return [{**row, "text": rendered(row)} for row in rows]


def counted(rows, layout, answers_count=False) -> UnreadCount:
    count = UnreadCount()
    for row in rows:
        count.add(unread_text(row, layout, read_conversation(row, layout), answers_count))
    return count


@pytest.mark.parametrize("answers_count", [False, True])
def test_a_rendered_prompt_with_its_answer_needs_no_setting_and_is_told_of(answers_count):
    count = counted(tasks(), layout("alpaca"), answers_count)
    assert count.lost() == (0, {})
    [remark] = count.remarks(8)
    assert remark.startswith("column 'text' is ignored: in 8 of 8 rows it repeats 'instruction' and 'output'")
    rare = counted(
        [*(row for row in tasks() if not row["input"]), tasks()[0]], layout("alpaca"), answers_count
    )
    assert rare.lost()[0] == 0  # the only row with an input
    joined = {**tasks()[0], "text": "Name 1. of 1 a 1"}
    assert counted([joined], layout("alpaca"), answers_count).lost()[0] == 0  # no words around
    spaced = tasks(rendered=lambda row: RENDERED.format(**row).upper().replace("\n", "\r\n "))
    assert counted(spaced, layout("alpaca"), answers_count).lost()[0] == 0
    one = counted(tasks()[:1], layout("alpaca"), answers_count)
    assert one.lost()[0] == 1  # who knows what the words around are
    spoken = [
        {**row, "text": [{"from": "human", "value": row["instruction"]}, {"value": row["output"]}]}
        for row in tasks()
        if not row["input"]
    ]
    assert counted(spoken, layout("alpaca"), answers_count).lost()[0] == 0


REPEATING = {
    "with more of its own": lambda row: f"Page {row['output'][2:]}. {BARE.format(**row)}",
    "without what stands between": lambda row: f"{row['instruction']} {row['output']}, says page {id(row)}",
    "the answer alone": lambda row: f"### Answer {id(row)}: {row['output']}, and so on.",
}


@pytest.mark.parametrize("kind", REPEATING)
@pytest.mark.parametrize("name", ["text", "explanation", "prompt"])
def test_what_repeats_an_answer_is_offered_to_be_ignored_and_never_as_an_input(kind, name):
    rows = [{**row, name: row["text"]} for row in tasks(rendered=REPEATING[kind])]
    rows = [{k: v for k, v in row.items() if k in ("instruction", "output", name)} for row in rows]
    if kind == "the answer alone" and name == "text":
        rows = [
            {**row, "output": "a longer answer, of six words", "text": "It is a longer answer, of six words"}
            for row in rows
        ]
    [sentence] = counted(rows, layout("alpaca")).losses(8, layout("alpaca"))
    assert f"in 8 of 8 rows: 'ignore: [{name}]' ignores it, because it repeats " in sentence
    assert "'output'" in sentence
    assert "columns" not in sentence and "format" not in sentence


@pytest.mark.parametrize("name", ["context", "passage", "text"])
def test_a_passage_that_holds_a_short_answer_is_still_an_input(name):
    rows = [
        {
            "instruction": f"Who was it in {n}?",
            "output": f"Bob {n}",
            name: f"Long ago Bob {n} came, and others.",
        }
        for n in range(8)
    ]
    [sentence] = counted(rows, layout("alpaca")).losses(8, layout("alpaca"))
    assert f"in 8 of 8 rows: 'columns: {{input: {name}}}' (or system) reads it" in sentence


def test_how_an_answer_came_about_and_lists_are_offered_as_nothing_that_they_cannot_be():
    assert (
        cure("rationale", layout("plain"))
        == "'columns: {response: rationale}' reads it, 'ignore: [rationale]' ignores it"
    )
    assert "columns" not in cure("choices", layout("plain"), listed=True)
    assert "'format: messages'" in cure("messages", layout("plain"), listed=True)


def test_a_column_that_is_taken_is_not_offered_again():
    assert "{input: passage, system: context}" in cure("context", layout("plain", Columns(input="passage")))
