"""Each row of a benchmark file becomes an item, or an error names the row."""

import pytest

from preceptor.evaluation.items import Item, read_items
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.records import RecordsError
from preceptor.text import digest
from tests.evaluation.benchmarks import checkers, duels, pairwise, sums


def test_a_checked_row_becomes_an_item_with_its_answer_as_text(tmp_path):
    rows = [
        *sums(1),
        {"instruction": "opposite of big?", "answer": "small", "check": "exact", "kind": "words"},
    ]
    assert read_items(checkers(tmp_path, rows, columns={"task": "kind"})) == [
        Item(digest("", "0 + 1?"), None, ("0 + 1?",), "add", "1", "number"),
        Item(digest("", "opposite of big?"), None, ("opposite of big?",), "words", "small", "exact"),
    ]


def test_a_small_number_is_written_in_full(tmp_path):
    (item,) = read_items(checkers(tmp_path, [{"instruction": "?", "answer": 0.00001, "check": "number"}]))
    assert item.answer == "0.00001"


def test_columns_can_have_other_names(tmp_path):
    rows = [{"q": "one?", "a": "1", "how": "exact"}]
    columns = {"instruction": "q", "answer": "a", "check": "how"}
    (item,) = read_items(checkers(tmp_path, rows, columns=columns))
    assert (item.user, item.answer, item.check, item.task) == (("one?",), "1", "exact", None)


def test_a_pairwise_row_becomes_an_item_with_the_references_response(tmp_path, reward_model):
    assert read_items(pairwise(tmp_path, duels(2), reward_model)) == [
        Item(digest("", "say 0"), None, ("say 0",), reference=("word ",)),
        Item(digest("", "say 1"), None, ("say 1",), reference=("word word ",)),
    ]


def test_a_reference_may_have_a_system_prompt_and_several_turns(tmp_path, reward_model):
    turns = [("system", "be brief"), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
    rows = [{"messages": [{"role": role, "content": text} for role, text in turns]}]
    (item,) = read_items(pairwise(tmp_path, rows, reward_model, format="messages"))
    assert item == Item(digest("be brief", "a", "c"), "be brief", ("a", "c"), reference=("b", "d"))


GOOD = {"instruction": "one?", "answer": "1", "check": "exact"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**GOOD, "check": "regex"}, "column 'check': .*'regex' .* exact, number, contains"),
        ({**GOOD, "check": None}, r"column 'check' .* \(the row has instruction"),
        ({**GOOD, "answer": " "}, "column 'answer' "),
        ({**GOOD, "answer": True}, "column 'answer' "),
        (
            {**GOOD, "answer": "seven", "check": "number"},
            "column 'answer': .*'seven' of check 'number'",
        ),
        (
            {**GOOD, "answer": "25 m^2", "check": "number"},
            "'25 m\\^2' of check 'number'",
        ),
        ({**GOOD, "answer": "a||b", "check": "contains"}, "own check 'contains'"),
        ({**GOOD, "answer": "a. b"}, "own check 'exact'"),
        ({**GOOD, "instruction": " \n"}, "empty instruction"),
        (
            {"question": "one?", "answer": "1", "check": "exact"},
            r"no column 'instruction' \(there are question",
        ),
        (GOOD, "repeats the instruction of sums.jsonl:1"),
    ],
)
def test_an_unusable_row_is_an_error_with_file_line_and_field(tmp_path, row, message):
    with pytest.raises(BenchmarkError, match=message) as caught:
        read_items(checkers(tmp_path, [GOOD, row]))
    assert f"evaluation 'sums', {tmp_path / 'sums.jsonl'}, sums.jsonl:2: " in str(caught.value)


def test_a_line_that_is_not_json_is_refused(tmp_path):
    evaluation = checkers(tmp_path, [GOOD])
    (tmp_path / "sums.jsonl").write_text('{"instruction": \n')
    with pytest.raises(BenchmarkError, match=r"sums.jsonl:1: not JSON"):
        read_items(evaluation)


def test_a_reference_without_a_response_is_refused(tmp_path, reward_model):
    rows = [*duels(1), {"instruction": "say 1", "output": None}]
    with pytest.raises(BenchmarkError, match=r"duels.jsonl:2: .*0 responses of the reference for 1 user"):
        read_items(pairwise(tmp_path, rows, reward_model))


def test_a_file_without_rows_is_refused(tmp_path):
    with pytest.raises(BenchmarkError, match=r"evaluation 'sums': .*sums\.jsonl .*no rows"):
        read_items(checkers(tmp_path, []))


def test_a_damaged_file_is_a_records_error(tmp_path):
    evaluation = checkers(tmp_path, [GOOD]).model_copy(update={"path": str(tmp_path / "sums.parquet")})
    (tmp_path / "sums.parquet").write_bytes(b"PAR1")
    with pytest.raises(RecordsError, match="cannot be read"):
        read_items(evaluation)
