"""Held-out files become pairs row by row, or a sentence says which row does not."""

import json

import pytest

from preceptor.compute.conversation import Conversation
from preceptor.evaluation.held_out.pairs import Pair, conversations, read_pairs
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.records import RecordsError
from preceptor.study.conversations import Conversations
from preceptor.text import digest

GOOD = {"instruction": "Add.", "input": "1 and 2", "output": "3"}


def records(tmp_path, rows: list[object], format: str = "alpaca", **settings) -> Conversations:
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Conversations(path=str(path), format=format, **settings)


def test_an_alpaca_row_is_a_pair_whose_instruction_includes_its_input(tmp_path):
    rows = [
        GOOD,
        {"instruction": "Say hi.", "input": "", "output": "hi"},
        {"instruction": "Q", "output": "a"},
    ]
    assert read_pairs(records(tmp_path, rows)) == [
        Pair(digest("", "Add.\n\n1 and 2"), None, ("Add.\n\n1 and 2",), ("3",)),
        Pair(digest("", "Say hi."), None, ("Say hi.",), ("hi",)),
        Pair(digest("", "Q"), None, ("Q",), ("a",)),
    ]


def test_a_plain_row_has_its_response_in_the_column_response(tmp_path):
    (pair,) = read_pairs(records(tmp_path, [{"instruction": "Q", "response": "A"}], "plain"))
    assert (pair.user, pair.response, pair.filtered) == (("Q",), ("A",), None)


def test_turns_and_a_system_prompt_are_kept(tmp_path):
    said = [("system", "brief"), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
    row = {"messages": [{"role": role, "content": text} for role, text in said]}
    (pair,) = read_pairs(records(tmp_path, [row], "messages"))
    assert pair == Pair(digest("brief", "a", "c"), "brief", ("a", "c"), ("b", "d"))
    assert conversations([pair]) == [Conversation("brief", ("a", "c"), ("b", "d"))]


@pytest.mark.parametrize("empty", ["", " \n\t"])
def test_an_empty_response_is_a_pair_that_no_model_is_asked(tmp_path, empty):
    pairs = read_pairs(records(tmp_path, [GOOD, {**GOOD, "input": "", "output": empty}]))
    assert [pair.filtered for pair in pairs] == [None, "response 1 of 1 is empty: it has no token to score"]
    assert conversations(pairs) == [Conversation(None, pairs[0].user, ("3",))]


def test_one_empty_turn_of_several_filters_the_pair(tmp_path):
    said = [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", " ")]
    row = {"messages": [{"role": role, "content": text} for role, text in said]}
    (pair,) = read_pairs(records(tmp_path, [row], "messages"))
    assert pair.filtered == "response 2 of 2 is empty: it has no token to score"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"instruction": "Q", "output": None},
            "has 0 responses for 1 user turns .format alpaca.",
        ),
        (
            {"instruction": "Q", "answer": "a"},
            r"no column 'output' \(there are instruction, answer\): write 'columns: \{response: answer\}'",
        ),
        (
            {**GOOD, "context": "C"},
            r"column 'context' contains text that nothing reads: 'columns: \{input: context\}",
        ),
        ({"instruction": " ", "output": "a"}, "empty instruction"),
        ({"question": "Q", "output": "a"}, r"no column 'instruction' \(there are question, output\)"),
        ({"instruction": "Q", "output": 3}, "column 'output' contains a int, not text"),
        ({**GOOD, "output": "other"}, "repeats the instruction of pairs.jsonl:1"),
        ([1], "pairs.jsonl:2: "),
    ],
)
def test_an_unusable_row_is_refused_by_file_line_and_field(tmp_path, row, message):
    with pytest.raises(BenchmarkError, match=message) as caught:
        read_pairs(records(tmp_path, [GOOD, row]))
    assert f"held-out pairs, {tmp_path / 'pairs.jsonl'}, pairs.jsonl:2: " in str(caught.value)


def test_only_the_rows_up_to_the_limit_are_read(tmp_path):
    pairs = read_pairs(records(tmp_path, [GOOD, {"instruction": " "}], limit=1))
    assert [pair.response for pair in pairs] == [("3",)]


def test_a_file_without_rows_is_refused(tmp_path):
    with pytest.raises(BenchmarkError, match=r"pairs\.jsonl has no rows"):
        read_pairs(records(tmp_path, []))


def test_a_damaged_file_is_a_records_error(tmp_path):
    (tmp_path / "pairs.parquet").write_bytes(b"PAR1")
    with pytest.raises(RecordsError, match="cannot be read"):
        read_pairs(Conversations(path=str(tmp_path / "pairs.parquet")))
