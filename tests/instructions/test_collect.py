"""All sources as one table of instructions, and the account of every row that is not in it."""

import json
import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preceptor.instructions.account import LossySourceError, NoInstructionsError, refuse_lossy
from preceptor.instructions.collect import collect_instructions, instructions_fingerprint
from preceptor.instructions.identity import is_id_of
from preceptor.lake.schemas import RAW_INSTRUCTIONS
from preceptor.source_files import file_problems
from preceptor.study.schema import InstructionColumns, Instructions, InstructionSource
from preceptor.text import normalise

TEXT = InstructionColumns(instruction="text")
COLUMNS = InstructionColumns(instruction="text", system="system", id="id")


def source(folder: Path, name: str, *rows, **options) -> InstructionSource:
    """A source with one row per line; a str is written as it is."""
    if "format" in options:
        options = {"columns": InstructionColumns(), **options}
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    options = {"columns": COLUMNS, **options}
    return InstructionSource(name=name, path=str(folder / f"{name}.jsonl"), **options)


def collect(*sources):
    return collect_instructions(Instructions(sources=sources, near_duplicate_threshold=None))


def text(text, **more) -> dict:
    return {"text": text, **more}


def test_a_row_holds_the_conversation_its_source_and_its_place(tmp_path):
    rows, _ = collect(source(tmp_path, "a", "", text("Hi\nthere", id=7, system="Be kind")))
    assert rows.schema == pl.Schema(RAW_INSTRUCTIONS.row_schema)
    [row] = rows.to_dicts()
    assert row | {"instruction_id": "", "prompt_hash": ""} == {
        "instruction_id": "",
        "source": "a",
        "source_ids": ["7"],
        "place": "a.jsonl:2",
        "system": "Be kind",
        "turns": ["Hi\nthere"],
        "answer": None,
        "check": None,
        "prompt_hash": "",
    }


def test_a_known_answer_and_its_check_are_kept(tmp_path):
    columns = COLUMNS.model_copy(update={"answer": "right", "check": "how"})
    known = source(tmp_path, "a", text("2+2?", right=4, how="number"), text("Why?"), columns=columns)
    rows, _ = collect(known)
    assert rows.select("answer", "check").rows() == [("4", "number"), (None, None)]


def test_bad_rows_are_counted_by_reason_with_the_first_place_of_each(tmp_path):
    rows, [count] = collect(source(tmp_path, "a", text(None), text("Hi"), text(5), text(None), {"q": "x"}))
    assert rows["turns"].to_list() == [["Hi"]]
    assert dict(count.dropped) == {
        "column 'text' is null": 2,
        "column 'text' contains a int, not text": 1,
        "no column 'text' (there are q): name the right one as in 'columns: {instruction: …}'": 1,
    }
    assert count.examples["column 'text' is null"] == "a.jsonl:1"
    assert count.examples["column 'text' contains a int, not text"] == "a.jsonl:3"


def test_near_duplicates_beyond_the_limit_are_told_of_with_the_setting_that_keeps_them(tmp_path):
    opening = "You are the agent of a telephone company. Answer politely in no more than three sentences. "
    asked = source(tmp_path, "a", *(text(f"{opening}The bill of month {n} is wrong.") for n in range(10, 30)))
    rows, [count] = collect_instructions(Instructions(sources=(asked,)))
    assert rows.height == 1
    [said] = count.alike(0.05)
    assert said.startswith("19 of 20 rows were dropped as near-duplicates of earlier ones (the first is a")
    assert "jsonl:2); 'instructions: {near_duplicate_threshold: null}' keeps all" in said
    assert list(count.alike(0.95)) == []


def test_a_line_that_is_not_json_is_counted_and_the_others_go_on(tmp_path):
    rows, [count] = collect(source(tmp_path, "a", text("one"), '{"text": ', text("two")))
    assert rows["turns"].to_list() == [["one"], ["two"]]
    [(reason, times)] = count.dropped.items()
    assert (reason.split(":")[0], times, count.examples[reason]) == ("not JSON", 1, "a.jsonl:2")


@pytest.mark.parametrize("turns", [[""], [" \n\t"], ["\u3000\u2028"], ["Hi", " "]])
def test_an_empty_instruction_is_dropped_and_counted(tmp_path, turns):
    good = {"question_id": 1, "turns": ["Hi", "More"]}
    rows, [count] = collect(
        source(tmp_path, "a", good, {"question_id": 2, "turns": turns}, format="fastchat")
    )
    assert rows["source_ids"].to_list() == [["1"]]
    assert dict(count.dropped) == {"an empty instruction": 1}
    assert count.examples == {"an empty instruction": "a.jsonl:2"}


def test_texts_that_look_the_same_are_merged_and_their_ids_kept(tmp_path):
    first = source(tmp_path, "a", text("Café\nau lait", id="x"), text(" Cafe\u0301 \r\nau lait ", id="y"))
    second = source(tmp_path, "b", text("Café\nau\u00a0lait", id="z"), text("Write a song", id="x"))
    rows, [a, b] = collect(first, second)
    assert rows["turns"].to_list() == [["Café\nau lait"], ["Write a song"]]
    assert rows["source_ids"].to_list() == [["x", "y", "z"], ["x"]]
    assert dict(a.dropped) == dict(b.dropped) == {"exact duplicate of a row of a": 1}
    assert (a.examples, b.examples) == (
        {"exact duplicate of a row of a": "a.jsonl:2"},
        {"exact duplicate of a row of a": "b.jsonl:1"},
    )
    assert [(c.read, c.kept) for c in (a, b)] == [(2, 1), (2, 1)]


def test_a_system_prompt_a_later_turn_or_another_split_of_turns_is_another_instruction(tmp_path):
    chats = [
        [("user", "a b")],
        [("system", "a"), ("user", "b")],
        [("user", "a"), ("assistant", "x"), ("user", "b")],
        [("user", "a"), ("assistant", "x"), ("user", "c")],
    ]
    records = [{"messages": [{"role": r, "content": c} for r, c in chat]} for chat in chats]
    rows, _ = collect(source(tmp_path, "a", *records, format="messages"))
    assert rows["instruction_id"].n_unique() == rows["prompt_hash"].n_unique() == 4


def test_spellings_of_one_instruction_share_its_id_and_not_the_hash_of_the_prompt(tmp_path):
    one, _ = collect(source(tmp_path, "a", text("Write a Poem")))
    other, _ = collect(source(tmp_path, "b", text("Write a\u00a0Poem\n")))
    assert one["instruction_id"].to_list() == other["instruction_id"].to_list()
    assert one["prompt_hash"].to_list() != other["prompt_hash"].to_list()


def test_ids_hang_neither_on_the_run_nor_on_other_sources_nor_on_their_order(tmp_path):
    a = source(tmp_path, "a", text("one", id=1), text("two"))
    b = source(tmp_path, "b", text("three"), text("two "))
    alone, again, swapped = collect(a)[0], collect(a, b)[0], collect(b, a)[0]
    columns = ["instruction_id", "prompt_hash"]
    assert again.head(2)[columns].equals(alone[columns])
    assert set(swapped["instruction_id"]) == set(again["instruction_id"])
    # Stored rows are joined on these, so that no later version may change them.
    assert alone["instruction_id"].to_list() == ["03e9eab2eb2a53c5", "05a543fcb8eefcb7"]


ROWS = st.one_of(
    st.builds(text, st.text(st.characters(exclude_categories=()), max_size=3)),
    st.builds(text, st.sampled_from(["one", "one ", "ONE", "two", " ", ""])),
    st.sampled_from(["broken", "[]", {"other": "x"}, text(None), text(["list"])]),
)


@settings(max_examples=60)
@given(st.lists(ROWS, max_size=8), st.lists(ROWS, max_size=8))
def test_every_row_read_is_kept_or_dropped_for_a_reason(first, second):
    with tempfile.TemporaryDirectory() as folder:
        a = source(Path(folder), "a", text("usable"), *first)
        b = source(Path(folder), "b", *second, text("useful"))
        rows, counts = collect(a, b)
    assert [count.read for count in counts] == [len(first) + 1, len(second) + 1]
    for count in counts:
        assert count.read == count.kept + count.dropped.total()
        assert count.kept == rows.filter(source=count.source).height
        assert count.examples.keys() == count.dropped.keys()
    assert rows["instruction_id"].is_unique().all()


def test_a_source_without_one_usable_row_is_refused_with_its_reasons(tmp_path):
    good = source(tmp_path, "good", text("Hi"))
    bad = source(tmp_path, "bad", text(None), text(" "), text(None))
    with pytest.raises(NoInstructionsError) as refusal:
        collect(good, bad)
    sentence = str(refusal.value)
    assert "'bad'" in sentence
    assert bad.path in sentence
    assert "format plain" in sentence
    assert "2 × column 'text' is null (bad.jsonl:1)" in sentence
    assert "1 × an empty instruction (bad.jsonl:2)" in sentence


def test_an_empty_source_is_refused(tmp_path):
    with pytest.raises(NoInstructionsError, match="it is empty"):
        collect(source(tmp_path, "a", text("Hi")), source(tmp_path, "b"))


def test_a_source_read_in_the_wrong_format_is_refused_with_the_columns_it_has(tmp_path):
    with pytest.raises(NoInstructionsError, match=r"there are question, answer"):
        collect(source(tmp_path, "a", {"question": "x", "answer": "y"}, format="alpaca"))


def test_a_source_of_nothing_but_duplicates_of_an_earlier_one_is_fine(tmp_path):
    rows, [a, b] = collect(source(tmp_path, "a", text("one")), source(tmp_path, "b", text("one "), text(" ")))
    assert rows.height == a.kept == 1
    assert (b.read, b.kept, b.dropped.total()) == (2, 0, 2)


def test_lone_surrogates_survive_as_replacement_characters(tmp_path):
    rows, [count] = collect(
        source(tmp_path, "a", r'{"text": "a\ud800b", "id": "\udfff", "system": "\ud800"}')
    )
    [row] = rows.to_dicts()
    assert (row["turns"], row["source_ids"], row["system"]) == (["a\ufffdb"], ["\ufffd"], "\ufffd")
    assert count.kept == 1


def test_the_fingerprint_changes_with_whatever_changes_the_table(tmp_path):
    a = source(tmp_path, "a", text("one"), text("two"))
    same = source(tmp_path, "b", text("one"), text("two")).model_copy(update={"name": "a"})
    other = source(tmp_path, "c", text("one"), text("three")).model_copy(update={"name": "a"})
    first = Instructions(sources=(a,))
    assert instructions_fingerprint(first) == instructions_fingerprint(Instructions(sources=(same,)))
    changed = [
        first,
        Instructions(sources=(other,)),
        Instructions(sources=(a.model_copy(update={"name": "z"}),)),
        Instructions(sources=(a.model_copy(update={"limit": 1}),)),
        Instructions(sources=(a.model_copy(update={"format": "alpaca"}),)),
        Instructions(sources=(a.model_copy(update={"columns": InstructionColumns()}),)),
        Instructions(sources=(a.model_copy(update={"ignore": ("note",)}),)),
        Instructions(sources=(a.model_copy(update={"columns": COLUMNS.model_copy(update={"answer": "b"})}),)),
        Instructions(sources=(a,), near_duplicate_threshold=None),
        Instructions(sources=(a, other.model_copy(update={"name": "c"}))),
        Instructions(sources=(other.model_copy(update={"name": "c"}), a)),
    ]
    assert len({instructions_fingerprint(instructions) for instructions in changed}) == len(changed)


def losses(*sources, allowed=0.05) -> str:
    """What is wrong with some sources, by the sentence that refuses them."""
    with pytest.raises(LossySourceError) as refusal:
        refuse_lossy(collect(*sources)[1], allowed)
    return str(refusal.value)


def test_rows_that_differ_in_system_prompt_input_or_history_are_different_instructions(tmp_path):
    rows, [count] = collect(
        source(
            tmp_path,
            "a",
            {"instruction": "Go on.", "system": "Be brief"},
            {"instruction": "Go on.", "system": "Be long"},
            {"instruction": "Go on.", "input": "One, two"},
            {"instruction": "Go on.", "history": [["One", "Two"]]},
            {"instruction": "Go on.", "system": ""},
            columns=InstructionColumns(),
        )
    )
    assert rows["instruction_id"].n_unique() == count.kept == count.read == 5


def test_text_that_nothing_reads_refuses_the_source_by_column_count_and_setting(tmp_path):
    row = {"instruction": "Sum up.", "context": "A page."}
    rows = [{**row, "context": f"Page {n}."} for n in range(4)]
    sentence = losses(source(tmp_path, "a", *rows, columns=InstructionColumns()))
    for part in ("'a'", "a.jsonl", "format plain", "'limits.lost_rows' (0.05)", "in 4 of 4 rows"):
        assert part in sentence
    assert "'columns: {input: context}'" in sentence and "'ignore: [context]'" in sentence
    for cure in ({"columns": InstructionColumns(input="context")}, {"ignore": ("context",)}):
        named = source(tmp_path, "a", *rows, **{"columns": InstructionColumns(), **cure})
        found, counts = collect(named)
        refuse_lossy(counts, 0)
        assert found.height == (4 if "columns" in cure else 1)


def test_a_little_lost_text_is_named_and_goes_on(tmp_path):
    rows = [text(f"Question {n}", **({"note": "A remark."} if n == 7 else {})) for n in range(20)]
    _, counts = collect(source(tmp_path, "a", *rows, columns=TEXT))
    refuse_lossy(counts, 0.05)
    [loss] = counts[0].losses()
    assert loss.startswith("column 'note' contains unread text in 1 of 20 rows: ")
    assert counts[0].examples["text in 'note', which nothing reads"] == "a.jsonl:8"
    assert "in 1 of 20 rows" in losses(source(tmp_path, "a", *rows, columns=TEXT), allowed=0.04)


WHOLE = {
    "HH": "\n\nHuman: Who are you?\n\nAssistant: A bear.\n\nHuman: Why?\n\nAssistant: Ask my mother.",
    "Vicuna": "A chat between a user and an assistant. USER: Who are you? ASSISTANT: A bear.</s>USER: Why?",
    "Guanaco": "### Human: Who are you?### Assistant: A bear.",
    "Alpaca": "### Instruction:\nSay who you are.\n\n### Response:\nA bear.",
    "Baize": "A human talks to an AI.\n[|Human|] Who are you?\n[|AI|] A bear.\n[|Human|] ",
    "Llama 2": "<s>[INST] Who are you? [/INST] A bear. </s>",
    "Llama 3": "<|start_header_id|>user<|end_header_id|>Who?<|start_header_id|>assistant<|end_header_id|>I.",
    "ChatML": "<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\nA bear.<|im_end|>",
    "Gemma": "<start_of_turn>user\nWho?<end_of_turn>\n<start_of_turn>model\nA bear.",
    "Zephyr": "<|user|>\nWho are you?</s>\n<|assistant|>\n",
}


@pytest.mark.parametrize("format", WHOLE)
def test_whole_conversations_in_one_text_are_no_instructions(format, tmp_path):
    whole = source(tmp_path, "a", text(WHOLE[format]), text(f"{WHOLE[format]} Why?"), columns=TEXT)
    sentence = losses(whole)
    assert "2 of 2 rows contain both sides of a conversation in one text" in sentence
    assert "at a.jsonl:1" in sentence and "one row of messages" in sentence
    assert file_problems(whole, 0.05) == [sentence]


def test_a_few_instructions_about_conversations_are_kept_and_told_of(tmp_path):
    about = (
        "Does a user write USER: or ASSISTANT?",
        "Assistant: hello\nHuman: go on",
        "The user: I",
        WHOLE["HH"],
    )
    rows, [count] = collect(source(tmp_path, "a", *map(text, about), columns=TEXT))
    refuse_lossy([count], 0.25)
    assert rows.height == 4 and list(count.losses()) == []
    [remark] = count.remarks()
    assert remark.startswith("1 of 4 rows contain both sides of a conversation in one text ('Human:' and")


def test_rows_that_merge_though_a_column_tells_them_apart_refuse_the_source(tmp_path):
    rows = [text("Name the capital.", land=land, id=n) for n, land in enumerate(("Peru", "Chile", "Peru"))]
    sentence = losses(source(tmp_path, "a", *rows, columns=TEXT))
    assert "1 of 3 rows differ from an earlier one only in column 'land', which nothing reads" in sentence
    earlier = source(tmp_path, "b", text("Name the capital."), columns=TEXT)
    assert "only in column 'land'" in losses(earlier, source(tmp_path, "a", *rows, columns=TEXT))
    numbers = [text("Round the number.", number=n / 4, place=f"{'abc'[n]} street") for n in range(3)]
    sentence = losses(source(tmp_path, "a", *numbers, columns=TEXT))
    assert "2 of 3 rows differ from an earlier one only in column 'number'" in sentence
    assert sentence.endswith("; the same holds for 'place'")
    for column in ("target_language", "a"):
        two = [text("Do it.", **{column: what}) for what in ((1, 2) if column == "a" else ("German", "Thai"))]
        assert f"only in column {column!r}" in losses(source(tmp_path, "a", *two, columns=TEXT))
    topics = [text("Write a poem on the topic.", topic=topic) for topic in ("sea", "land")]
    assert "only in column 'topic'" in losses(source(tmp_path, "a", *topics, columns=TEXT))
    pairs = [text("Which?", chosen=f"Number {n}.", rejected="None") for n in range(3)]
    refuse_lossy(collect(source(tmp_path, "a", *pairs, columns=TEXT))[1], 0)
    same = [
        text("Name the capital.", land="Peru", id=n, url=f"x/{n}", time_per_example=n / 2, model=f"m{n}")
        for n in range(3)
    ]
    refuse_lossy(collect(source(tmp_path, "a", *same, columns=TEXT))[1], 0)
    labels = [
        text(
            "Which?",
            source=f"set {n}",
            category="ab"[n],
            helpfulness=n,
            verbosity=str(-n / 2),  # as a CSV file has it
            redacted=n > 0,
            meta={"split": ("train", "test")[n], "author": f"A{n}"},
            output=f"Number {n}.",
            prompt=f"Q: Which?\nA: Number {n}.",
        )
        for n in range(2)
    ]
    [count] = collect(source(tmp_path, "a", *labels, columns=TEXT))[1]
    assert (count.merged.rows, count.unread.lost()[0]) == (0, 0)


def test_rows_that_cannot_be_read_are_bounded_and_named_with_their_first_place(tmp_path):
    rows = [text(f"Question {n}") for n in range(9)]
    bad = source(tmp_path, "a", *rows, '{"text": ', columns=TEXT)
    refuse_lossy(collect(bad)[1], 0.1)
    assert "1 of 10 rows cannot be used: 1 × not JSON" in losses(bad)
    assert "(a.jsonl:10)" in losses(bad)


def test_a_column_that_the_study_names_and_no_row_has_is_refused(tmp_path):
    columns = InstructionColumns(instruction="text", system="sytem")
    sentence = losses(source(tmp_path, "a", text("Hi", system="Be kind"), columns=columns), allowed=1)
    assert "no row has the column 'sytem' that 'columns' names" in sentence


def test_an_input_that_repeats_question_and_answer_is_a_loss_that_is_named(tmp_path):
    rows = [{"instruction": f"Name {n}.", "output": f"It is {n}."} for n in range(4)]
    rendered = [{**row, "text": f"Q: {row['instruction']} A: {row['output']}"} for row in rows]
    named = {"format": "alpaca", "columns": InstructionColumns(input="text")}
    sentence = losses(source(tmp_path, "a", *rendered, **named))
    assert "column 'text' is read and reveals the answer" in sentence
    assert "repeats 'instruction' and 'output' in 4 of 4 rows; remove it from 'columns'" in sentence
    ignored = source(tmp_path, "a", *rendered, format="alpaca", ignore=("text",))
    passage = [{**row, "text": f"Long ago. {row['output']} And others."} for row in rows]
    for fine in (ignored, source(tmp_path, "b", *passage, **named)):
        refuse_lossy(collect(fine)[1], 0)


ANSWERED = InstructionColumns(instruction="text", answer="right", check="how")


def test_another_right_answer_to_the_same_instruction_is_counted_named_and_bounded(tmp_path):
    rows = [
        text("2+2?", right=4, how="number"),
        text("2+2? ", right="4.0", how="number"),  # the same value
        text("2+2?"),
        text("2+2?", right=5, how="number"),
        text("2+2?", right="4", how="exact"),
        text("Which?", right="This one", how="exact"),
        text("Which?", right="this one", how="exact"),
    ]
    sentence = losses(source(tmp_path, "a", *rows, columns=ANSWERED), allowed=0.4)
    assert (
        "3 of 7 rows contradict the right answer of an earlier row with the same instruction:"
        " '4' by number (a.jsonl:1) is kept, '5' by number (a.jsonl:4) is not"
    ) in sentence
    found, counts = collect(source(tmp_path, "a", *rows, columns=ANSWERED))
    refuse_lossy(counts, 0.43)
    assert found.select("answer", "check").rows() == [("4", "number"), ("This one", "exact")]
    assert len(list(counts[0].losses())) == 1
    assert file_problems(source(tmp_path, "a", *rows, columns=ANSWERED), 0.4) == [sentence]


def test_sources_are_held_against_each_other_and_an_answer_is_taken_from_a_later_copy(tmp_path):
    first = source(tmp_path, "a", text("2+2?"), text("3+3?", right=6, how="number"), columns=ANSWERED)
    second = source(
        tmp_path,
        "b",
        text("2+2?", right=4, how="number"),
        text("3+3?", right=7, how="number"),
        columns=ANSWERED,
    )
    found, [one, other] = collect(first, second)
    assert found.select("answer", "check").rows() == [("4", "number"), ("6", "number")]
    assert (one.contradicting, other.contradicting) == (0, 1)
    assert "'6' by number (a.jsonl:2) is kept, '7' by number (b.jsonl:2) is not" in losses(first, second)


@pytest.mark.parametrize(
    ("one", "other"),
    [("What is 5²?", "What is 52?"), ("Define Polish.", "Define polish."), ("a:\n b", "a:\nb")],
)
def test_texts_that_mean_something_else_stay_apart_and_the_first_keeps_its_old_id(tmp_path, one, other):
    rows, [count] = collect(source(tmp_path, "a", text(one), text(other)))
    assert count.kept == 2
    alone = [collect(source(tmp_path, "b", text(words)))[0]["instruction_id"][0] for words in (one, other)]
    assert alone[0] == alone[1] == rows["instruction_id"][0] != rows["instruction_id"][1]
    assert all(is_id_of(r["instruction_id"], r["system"], r["turns"]) for r in rows.iter_rows(named=True))


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=3), min_size=1, max_size=6))
def test_two_instructions_share_an_id_only_if_they_say_the_same(texts):
    with tempfile.TemporaryDirectory() as folder:
        usable = source(Path(folder), "a", text("usable"), *map(text, texts))
        rows, _ = collect(usable)
    assert rows["instruction_id"].is_unique().all()
    said = {normalise(words) for words in texts if words.strip()} | {"usable"}
    assert {normalise(turns[0]) for turns in rows["turns"]} == said
