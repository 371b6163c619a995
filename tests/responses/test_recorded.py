"""Recorded responses joined to the study's instructions: what matches, what does not, and where."""

import json

import pytest

from preceptor.instructions.collect import collect_instructions
from preceptor.lake.schemas import RESPONSES
from preceptor.responses.recorded import LossyRecordingError, NothingMatchedError, collect_recorded
from preceptor.study.conversations import Columns
from preceptor.study.schema import InstructionColumns, Instructions, InstructionSource
from preceptor.study.teachers import RecordedTeacher


def write(path, rows) -> str:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def instructions(folder, *rows, format="fastchat", name="asked", **options):
    """The study's instructions from one source."""
    path = write(folder / f"{name}.jsonl", rows)
    source = InstructionSource(name=name, path=path, format=format, **options)
    return collect_instructions(Instructions(sources=(source,), near_duplicate_threshold=None))[0]


def teacher(folder, *rows, **options) -> RecordedTeacher:
    path = write(folder / "answers.jsonl", rows)
    return RecordedTeacher(name="t", engine="recorded", path=path, **options)


def answer(id, *turns) -> dict:
    return {"question_id": id, "choices": [{"index": 0, "turns": list(turns)}]}


@pytest.fixture
def asked(tmp_path):
    """Three questions; the last has two turns."""
    questions = [("q1", ["One?"]), ("q2", ["Two  words?"]), ("q3", ["Three?", "And more?"])]
    return instructions(tmp_path, *({"question_id": id, "turns": turns} for id, turns in questions))


def by_source_id(outcome, asked) -> dict[str, list[dict]]:
    """Source id → its response rows, in the table's order."""
    ids = {row["instruction_id"]: row["source_ids"][0] for row in asked.iter_rows(named=True)}
    found: dict[str, list[dict]] = {}
    for row in outcome.rows.iter_rows(named=True):
        found.setdefault(ids[row["instruction_id"]], []).append(row)
    return found


def test_records_join_on_ids_in_any_order(lake, tmp_path, asked):
    answers = [answer("q3", "c", "d"), answer("q1", "a"), answer("q2", "b")]
    outcome, count = collect_recorded(lake, teacher(tmp_path, *answers, format="fastchat"), asked)
    turns = {id: [row["turns"] for row in rows] for id, rows in by_source_id(outcome, asked).items()}
    assert turns == {"q1": [["a"]], "q2": [["b"]], "q3": [["c", "d"]]}
    assert (count.read, count.matched, count.unmatched.total()) == (3, 3, 0)
    assert outcome.rows["error"].null_count() == 3


def test_records_join_on_the_instructions_words_whatever_their_blanks(lake, tmp_path, asked):
    answers = [{"instruction": " One?", "output": "a"}, {"instruction": "Two\nwords?", "output": "b"}]
    outcome, count = collect_recorded(lake, teacher(tmp_path, *answers, format="alpaca_eval"), asked)
    assert {id: rows[0]["turns"] for id, rows in by_source_id(outcome, asked).items()} == {
        "q1": ["a"],
        "q2": ["b"],
    }
    assert count.matched == 2


def test_a_chat_joins_on_all_its_user_turns(lake, tmp_path, asked):
    chat = [("human", "Three?"), ("gpt", "c"), ("human", " And more? "), ("gpt", "d")]
    whole = {"conversations": [{"from": speaker, "value": words} for speaker, words in chat]}
    part = {"conversations": whole["conversations"][:2]}
    outcome, count = collect_recorded(lake, teacher(tmp_path, whole, part, format="sharegpt"), asked)
    assert by_source_id(outcome, asked)["q3"][0]["turns"] == ["c", "d"]
    assert (count.matched, count.unmatched["answers no instruction of the study"]) == (1, 1)


def test_the_id_of_a_merged_duplicate_joins_too(lake, tmp_path):
    questions = [{"question_id": "q1", "turns": ["One?"]}, {"question_id": "q1b", "turns": ["One? "]}]
    asked = instructions(tmp_path, *questions)
    outcome, _ = collect_recorded(lake, teacher(tmp_path, answer("q1b", "a"), format="fastchat"), asked)
    assert outcome.rows["instruction_id"].to_list() == asked["instruction_id"].to_list()


def test_an_id_that_several_instructions_have_joins_to_none_of_them(lake, tmp_path):
    columns = InstructionColumns(id="id")
    a, b = write(tmp_path / "a.jsonl", [{"instruction": "One?", "id": 1}]), tmp_path / "b.jsonl"
    write(b, [{"instruction": "Two?", "id": 1}, {"instruction": "Three?", "id": 2}])
    sources = tuple(
        InstructionSource(name=p, path=path, columns=columns) for p, path in (("a", a), ("b", str(b)))
    )
    asked, _ = collect_instructions(Instructions(sources=sources, near_duplicate_threshold=None))
    recorded = teacher(tmp_path, {"id": 1, "response": "x"}, {"id": "2", "response": "y"}, join="id")
    outcome, count = collect_recorded(lake, recorded, asked)
    assert outcome.rows["turns"].to_list() == [["y"]]
    assert dict(count.unmatched) == {
        "its id belongs to several instructions; set 'join: instruction' instead": 1
    }


def test_unmatched_records_are_counted_by_reason_and_each_is_listed_with_its_place(lake, tmp_path, asked):
    answers = [
        answer("q1", "a"),
        answer("other", "x"),
        "broken",
        answer(None, "x"),
        answer("q2"),
        answer("more", "x"),
    ]
    recorded = teacher(tmp_path, *answers, format="fastchat")
    outcome, count = collect_recorded(lake, recorded, asked, lost_rows=0.4)
    assert outcome.rows.height == count.matched == 1
    assert count.read == count.matched + count.unmatched.total() == 6
    assert count.unmatched["answers no instruction of the study"] == 2
    assert count.unmatched["has no id to join on; name its column as in 'columns: {id: …}'"] == 1
    assert (count.lost, count.first_lost.split(": ")[0]) == (2, "answers.jsonl:3")
    assert [place.split(": ")[0] for place in count.places] == [
        f"answers.jsonl:{line}" for line in (2, 3, 4, 5, 6)
    ]
    assert count.places[0] == "answers.jsonl:2: answers no instruction of the study"


def test_repeated_records_become_samples_in_the_files_order(lake, tmp_path, asked):
    answers = [answer("q1", "a"), answer("q2", "b"), answer("q1", "c"), answer("q1", "a")]
    outcome, _ = collect_recorded(lake, teacher(tmp_path, *answers, format="fastchat"), asked)
    found = by_source_id(outcome, asked)
    assert [(row["sample"], row["turns"]) for row in found["q1"]] == [(0, ["a"]), (1, ["c"]), (2, ["a"])]
    assert [row["sample"] for row in found["q2"]] == [0]
    assert outcome.rows["response_id"].n_unique() == 4


@pytest.mark.parametrize(("id", "turns"), [("q3", ["c"]), ("q3", ["c", "d", "e"]), ("q1", ["a", "b"])])
def test_an_answer_of_the_wrong_number_of_turns_is_an_error_row(lake, tmp_path, asked, id, turns):
    outcome, count = collect_recorded(lake, teacher(tmp_path, answer(id, *turns), format="fastchat"), asked)
    [row] = outcome.rows.to_dicts()
    assert f"answers {len(turns)} of {2 if id == 'q3' else 1} turns" in row["error"]
    assert count.matched == 1


def test_a_null_response_is_an_error_row_and_an_empty_one_is_a_row(lake, tmp_path, asked):
    answers = [{"instruction": "One?", "response": None}, {"instruction": "Two words?", "response": ""}]
    outcome, _ = collect_recorded(lake, teacher(tmp_path, *answers), asked)
    found = {id: rows[0] for id, rows in by_source_id(outcome, asked).items()}
    assert "answers 0 of 1 turns" in found["q1"]["error"]
    assert (found["q2"]["turns"], found["q2"]["error"]) == ([""], None)


def test_lone_surrogates_and_line_separators_in_a_response_are_stored(lake, tmp_path, asked):
    recorded = teacher(tmp_path, r'{"instruction": "One?", "response": "a\ud800\u2028b"}')
    collect_recorded(lake, recorded, asked)
    assert lake.read(RESPONSES)["turns"].to_list() == [["a\ufffd\u2028b"]]


def test_when_nothing_matches_the_error_says_what_was_read_how_it_was_joined_and_why(lake, tmp_path, asked):
    recorded = teacher(tmp_path, answer("x", "a"), answer("y", "b"), "broken", format="fastchat")
    with pytest.raises(NothingMatchedError) as refusal:
        collect_recorded(lake, recorded, asked)
    sentence = str(refusal.value)
    for part in ("'t'", recorded.path, "format fastchat", "joined on id", "2 × answers no instruction"):
        assert part in sentence
    assert lake.version(RESPONSES) is None


@pytest.mark.parametrize(
    ("rows", "options", "reason"),
    [
        ([], {}, "it is empty"),
        ([{"id": "q1", "response": "a"}], {}, "or set 'join: id'"),
        (
            [{"question": "One?", "answer": "a"}],
            {"columns": Columns(response="answer")},
            "write 'columns: {instruction: question, response: answer}'",
        ),
        (
            [{"instruction": "One?", "answer": "a"}],
            {},
            "no column 'response' (there are instruction, answer): write 'columns: {response: answer}'",
        ),
        (
            [{"instruction": "One?", "output": "a"}],
            {"format": "alpaca_eval", "join": "id"},
            "has no id to join on",
        ),
    ],
)
def test_when_nothing_matches_the_error_says_what_to_set(lake, tmp_path, asked, rows, options, reason):
    with pytest.raises(NothingMatchedError) as refusal:
        collect_recorded(lake, teacher(tmp_path, *rows, **options), asked)
    assert reason in str(refusal.value)


def test_columns_of_any_name_hold_response_instruction_and_id(lake, tmp_path, asked):
    columns = {"response": "output_2", "instruction": "prompt", "id": "number"}
    record = {"number": "q1", "prompt": "Two words?", "output_2": "a"}
    by_id, _ = collect_recorded(lake, teacher(tmp_path, record, columns=columns, join="id"), asked)
    by_text, _ = collect_recorded(lake, teacher(tmp_path, record, columns=columns), asked)
    assert list(by_source_id(by_id, asked)) == ["q1"]
    assert list(by_source_id(by_text, asked)) == ["q2"]


def test_a_rerun_makes_no_new_version_and_a_changed_file_replaces_the_rows(lake, tmp_path, asked):
    first, _ = collect_recorded(lake, teacher(tmp_path, answer("q1", "a"), format="fastchat"), asked)
    again, _ = collect_recorded(lake, teacher(tmp_path, answer("q1", "a"), format="fastchat"), asked)
    assert (again.version, again.computed, again.reused) == (first.version, 0, 1)
    changed, _ = collect_recorded(lake, teacher(tmp_path, answer("q2", "other"), format="fastchat"), asked)
    assert changed.version == first.version + 1
    assert lake.read(RESPONSES)["turns"].to_list() == [["other"]]
    assert lake.read(RESPONSES, version=first.version)["turns"].to_list() == [["a"]]


def test_an_answer_under_another_spelling_of_the_prompt_is_another_response(lake, tmp_path):
    recorded = teacher(tmp_path, answer("q1", "a"), format="fastchat")
    ids = set()
    for words in ("One?", "one?"):
        asked = instructions(tmp_path, {"question_id": "q1", "turns": [words]})
        ids.add(collect_recorded(lake, recorded, asked)[0].rows["response_id"][0])
    assert len(ids) == 2


def test_the_fingerprint_changes_with_the_file_and_with_how_it_is_read(lake, tmp_path, asked):
    record = {"id": "q1", "instruction": "One?", "response": "a", "output": "a"}
    recorded = teacher(tmp_path, record)
    settings = [
        {},
        {"format": "alpaca"},
        {"join": "id"},
        {"columns": {"response": "output"}},
        {"ignore": ["output"]},
        {"limit": 1},
    ]
    teachers = [teacher(tmp_path, record, **options) for options in settings]
    found = [collect_recorded(lake, each, asked)[0].fingerprint for each in teachers]
    assert found[0] == collect_recorded(lake, recorded, asked)[0].fingerprint
    other = teacher(tmp_path, record, {**record, "response": "b"})
    assert len({*found, collect_recorded(lake, other, asked)[0].fingerprint}) == len(settings) + 1


def prompted(folder, *pairs):
    """The study's instructions as (system prompt, text), without ids."""
    rows = [{"instruction": text, **({"system": system} if system else {})} for system, text in pairs]
    return instructions(folder, *rows, format="plain")


def test_a_recording_without_system_prompts_joins_where_no_text_is_there_twice(lake, tmp_path):
    asked = prompted(tmp_path, ("Be brief", "One?"), ("Be brief", "Two?"))
    answers = [{"instruction": words, "response": "a"} for words in ("One?", "Two?")]
    outcome, count = collect_recorded(lake, teacher(tmp_path, *answers), asked)
    assert outcome.rows["instruction_id"].to_list() == asked["instruction_id"].to_list()
    assert (count.matched, count.without_system) == (2, 2)


def test_where_the_text_alone_leaves_a_doubt_the_sentence_says_what_to_set(lake, tmp_path):
    asked = prompted(tmp_path, ("Be brief", "One?"), ("Be long", "One?"), (None, "Two?"))
    answers = [
        {"instruction": "One?", "response": "a"},
        {"instruction": "Two?", "system": "Be a pirate", "response": "b"},
        {"instruction": "One?", "system": "Be long", "response": "c"},
    ]
    outcome, count = collect_recorded(lake, teacher(tmp_path, *answers), asked)
    assert outcome.rows["instruction_id"].to_list() == [asked["instruction_id"][1]]
    [twice, other] = count.unmatched
    assert "differ in system prompt" in twice and "'columns.system'" in twice and "'join: id'" in twice
    assert other == "its text is an instruction of the study, but with another system prompt or none"


def test_an_answer_to_5_squared_is_no_sample_of_52(lake, tmp_path):
    asked = instructions(tmp_path, {"instruction": "What is 52?"}, format="plain")
    answers = [{"instruction": f"What is {n}?", "response": n} for n in ("5²", "52")]
    outcome, count = collect_recorded(lake, teacher(tmp_path, *answers), asked)
    assert outcome.rows["turns"].to_list() == [["52"]]
    assert dict(count.unmatched) == {"answers no instruction of the study": 1}


def test_an_answer_joins_whole_words_with_other_blanks_only_where_that_leaves_no_doubt(lake, tmp_path):
    asked = instructions(tmp_path, {"instruction": "if a:\n  b"}, {"instruction": "if a:\nb"}, format="plain")
    answers = [{"instruction": words, "response": "x"} for words in ("if a:\nb", "if a: b")]
    outcome, count = collect_recorded(lake, teacher(tmp_path, *answers), asked)
    assert outcome.rows["instruction_id"].to_list() == [asked["instruction_id"][1]]
    assert count.unmatched.total() == 1


def test_a_recording_that_loses_rows_or_text_is_refused(lake, tmp_path, asked):
    good = {"instruction": "One?", "response": "a"}
    with pytest.raises(
        LossyRecordingError, match=r"'t', .*column 'context' contains unread text in 1 of 1 rows: 'colu"
    ):
        collect_recorded(lake, teacher(tmp_path, {**good, "context": "A page."}), asked)
    with pytest.raises(
        LossyRecordingError, match=r"1 of 2 rows cannot be read; the first is answers.jsonl:2"
    ):
        collect_recorded(lake, teacher(tmp_path, good, "broken"), asked)
    with pytest.raises(LossyRecordingError, match="no row has the column 'persona' that 'columns' names"):
        collect_recorded(lake, teacher(tmp_path, good, columns={"system": "persona"}), asked)
    assert lake.version(RESPONSES) is None


@pytest.mark.parametrize(
    ("told", "ended", "usable"),
    [
        ({}, None, True),
        ({"finish_reason": None}, None, True),
        ({"finish_reason": float("nan")}, None, True),  # of a table with a gap
        ({"finish_reason": "stop"}, "stop", True),
        ({"finish_reason": "eos_token"}, "stop", True),
        ({"finish_reason": "length"}, "length", True),
        ({"finish_reason": "FinishReason.MAX_TOKENS"}, "length", True),
        ({"stop_reason": "max_tokens"}, "length", True),
        ({"stop_reason": "end_turn"}, "stop", True),
        ({"finish_reason": ["length", "stop"]}, "length", True),
        ({"finish_reason": "content_filter"}, None, False),
        ({"stop_reason": "refusal"}, None, False),
    ],
)
def test_a_recording_that_says_how_a_response_ended_is_believed(lake, tmp_path, asked, told, ended, usable):
    by_choice = answer("q1", "a")
    by_choice["choices"][0] |= told
    rows = [{"instruction": "One?", "response": "a"} | told, answer("q1", "a") | told, by_choice]
    for record, format in zip(rows, ("plain", "fastchat", "fastchat"), strict=True):
        (row,) = collect_recorded(lake, teacher(tmp_path, record, format=format), asked)[0].rows.to_dicts()
        assert (row["turns"], row["finish_reason"], row["error"] is None) == (["a"], ended, usable)


def test_a_record_that_differs_in_signs_alone_is_told_of_and_so_is_what_another_file_asks(lake, tmp_path):
    asked = instructions(
        tmp_path, {"instruction": 'What\'s a "stroke"?'}, {"instruction": "Two?"}, format="plain"
    )
    answers = [{"instruction": asks, "response": "a"} for asks in ("what’s a “stroke”", "Two?")]
    near = teacher(tmp_path, *answers)
    outcome, count = collect_recorded(lake, near, asked)
    assert outcome.rows.height == 1
    unlike = "answers no instruction of the study, but for its capitals, quotes or punctuation"
    assert count.unanswered() == f"of the recording 1 × {unlike} (the first is answers.jsonl:1)"
    other = teacher(tmp_path, {"instruction": "Another?", "response": "a"})
    with pytest.raises(
        NothingMatchedError, match=r"The first record asks 'Another\?', the study asks "
    ) as refusal:
        collect_recorded(lake, other, asked)
    assert "1 × answers no instruction of the study." in str(refusal.value)
