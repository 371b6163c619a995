"""Question and answer files of both versions, and what is said of rows that are neither."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preceptor.evaluation.arena_hard.formats import ModelAnswer, Question, read_answers, read_questions
from preceptor.evaluation.arena_hard.style import Style
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.study.fields import Records

V0_QUESTION = {
    "question_id": "q0",
    "category": "arena-hard-v0.1",
    "cluster": "Algebra",
    "turns": [{"content": "1 + 1?"}],
}
V0_REISSUED = {"uid": "q0", "category": "arena-hard-v0.1", "cluster": "Algebra", "prompt": "1 + 1?"}
V2_QUESTION = {"uid": "q2", "category": "hard_prompt", "subcategory": "math", "prompt": "2 + 2?"}
V0_ANSWER = {
    "question_id": "q0",
    "answer_id": "a",
    "model_id": "some model",
    "choices": [{"index": 0, "turns": [{"content": "# 2", "token_len": 5}]}],
    "tstamp": 1.5,
}
COUNTS = {
    "token_len": 7,
    "header_count": {"h1": 1, "h2": 2, "h3": 0, "h4": 0, "h5": 0, "h6": 0},
    "list_count": {"ordered": 4, "unordered": 1},
    "bold_count": {"**": 0, "__": 6},
}
V2_ANSWER = {
    "uid": "q2",
    "ans_id": "a",
    "model": "some model",
    "messages": [
        {"role": "user", "content": "2 + 2?"},
        {"role": "assistant", "content": {"answer": "4"}},
    ],
    "tstamp": 1.5,
    "metadata": COUNTS,
}


def records(folder, *rows) -> Records:
    path = folder / "file.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return Records(path=str(path))


def without(row: dict, *fields: str) -> dict:
    return {name: value for name, value in row.items() if name not in fields}


@pytest.mark.parametrize("row", [V0_QUESTION, V0_REISSUED])
def test_questions_of_v0_come_as_turns_or_reissued_as_a_prompt(tmp_path, row):
    expected = Question("q0", "v0.1", "arena-hard-v0.1", "Algebra", ("1 + 1?",))
    assert read_questions(records(tmp_path, row)) == [expected]


def test_questions_of_v2_have_a_subcategory(tmp_path):
    found = read_questions(records(tmp_path, V2_QUESTION, V2_QUESTION | {"uid": "q1"}))
    assert found[0] == Question("q2", "v2.0", "hard_prompt", "math", ("2 + 2?",))
    assert [question.question_id for question in found] == ["q2", "q1"]  # the file's order


@pytest.mark.parametrize(
    ("row", "tokens", "style"),
    [
        (V0_ANSWER, 5, None),
        (V0_ANSWER | {"conv_metadata": COUNTS}, 7, Style(7, 3, 5, 6)),
        (V0_ANSWER | {"conv_metadata": {"token_len": 7}}, 7, None),
        (V0_ANSWER | {"choices": [{"turns": ["2"]}]}, None, None),
        (V0_ANSWER | {"choices": [{"turns": [{"content": "2", "token_len": 1}, "3"]}]}, None, None),
    ],
)
def test_an_answer_has_the_tokens_and_style_that_its_file_states(tmp_path, row, tokens, style):
    found = read_answers(records(tmp_path, row))["q0"]
    assert (found.model, found.tokens, found.style) == ("some model", tokens, style)
    assert len(found.turns) == len(row["choices"][0]["turns"])


def test_answers_of_v2_stand_among_messages(tmp_path):
    expected = ModelAnswer("q2", "some model", ("4",), 7, Style(7, 3, 5, 6))
    assert read_answers(records(tmp_path, V2_ANSWER)) == {"q2": expected}
    bare = ModelAnswer("q2", "some model", ("4",), None, None)
    assert read_answers(records(tmp_path, without(V2_ANSWER, "metadata"))) == {"q2": bare}


def test_an_empty_answer_is_an_answer(tmp_path):
    row = V0_ANSWER | {"choices": [{"turns": [{"content": "", "token_len": 0}]}]}
    assert read_answers(records(tmp_path, row))["q0"].turns == ("",)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (without(V0_QUESTION, "cluster"), "'cluster' .*'subcategory'"),
        (V0_QUESTION | {"subcategory": "math"}, "'cluster' .*'subcategory'"),
        (V0_QUESTION | {"cluster": " "}, "'cluster' has no text"),
        (without(V2_QUESTION, "category"), "'category' has no text"),
        (without(V2_QUESTION, "uid"), "has no id: fill 'question_id' or 'uid'"),
        (without(V2_QUESTION, "prompt"), "no column 'prompt'"),
        (V2_QUESTION | {"prompt": "\n"}, "empty question"),
        (V0_QUESTION | {"turns": []}, "'turns' contains no turns"),
        (V0_QUESTION | {"choices": [{"turns": ["2"]}]}, "empty question"),
        (["a list"], "a JSON list instead of an object"),
    ],
)
def test_a_row_that_is_no_question_is_named_with_its_cure(tmp_path, row, said):
    with pytest.raises(BenchmarkError, match=rf"file\.jsonl, file\.jsonl:1: .*{said}.*question has 'uid'"):
        read_questions(records(tmp_path, row))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (without(V0_ANSWER, "choices"), "'choices' .*'messages'"),
        (V0_QUESTION, "'choices' .*'messages'"),
        (V0_ANSWER | {"messages": V2_ANSWER["messages"]}, "'choices' .*'messages'"),
        (without(V0_ANSWER, "model_id"), "'model_id' has no text"),
        (without(V0_ANSWER, "question_id"), "has no id"),
        (V0_ANSWER | {"choices": []}, "'choices' contains no answer"),
        (V0_ANSWER | {"choices": V0_ANSWER["choices"] * 2}, "contains several answers"),
        (
            V0_ANSWER | {"choices": [{"turns": [{"content": None}]}]},
            r"column 'choices\[0\].turns\[0\].content' is null",
        ),
        (V0_ANSWER | {"choices": [{"turns": [{"content": "2", "token_len": "5"}]}]}, "'token_len' is"),
        (V2_ANSWER | {"messages": V2_ANSWER["messages"][:1]}, "'messages' has no answer of the assistant"),
        (V2_ANSWER | {"metadata": 7}, "'metadata' .*'token_len'"),
        (V2_ANSWER | {"metadata": without(COUNTS, "token_len")}, "'metadata' .*'token_len'"),
        (V2_ANSWER | {"metadata": without(COUNTS, "list_count")}, "'metadata.list_count' is None"),
        (V2_ANSWER | {"metadata": COUNTS | {"token_len": -1}}, "'metadata.token_len' is -1"),
        (V2_ANSWER | {"metadata": COUNTS | {"bold_count": {"**": True}}}, "'metadata.bold_count' is"),
    ],
)
def test_a_row_that_is_no_answer_is_named_with_its_cure(tmp_path, row, said):
    with pytest.raises(
        BenchmarkError, match=rf"file\.jsonl, file\.jsonl:1: .*{said}.*answer has 'question_id'"
    ):
        read_answers(records(tmp_path, row))


def test_a_repeated_id_is_refused(tmp_path):
    with pytest.raises(BenchmarkError, match=r"file\.jsonl:2: repeats the id 'q0' of file\.jsonl:1"):
        read_questions(records(tmp_path, V0_QUESTION, V0_REISSUED))
    with pytest.raises(BenchmarkError, match=r"file\.jsonl:2: repeats the id 'q2' of file\.jsonl:1"):
        read_answers(records(tmp_path, V2_ANSWER, V2_ANSWER))


def test_versions_and_models_do_not_mix_in_a_file(tmp_path):
    with pytest.raises(
        BenchmarkError, match=r":2: is a v2\.0 question, but file\.jsonl:1 is a v0\.1 question"
    ):
        read_questions(records(tmp_path, V0_QUESTION, V2_QUESTION))
    with pytest.raises(BenchmarkError, match=r":2: is a v2\.0 answer of .*:1 is a v0\.1 answer of"):
        read_answers(records(tmp_path, V0_ANSWER, V2_ANSWER))
    other = V0_ANSWER | {"question_id": "q1", "model_id": "another"}
    with pytest.raises(BenchmarkError, match=r"answer of 'another', but .* answer of 'some model'"):
        read_answers(records(tmp_path, V0_ANSWER, other))


def test_a_file_without_rows_is_refused(tmp_path):
    for read in (read_questions, read_answers):
        with pytest.raises(BenchmarkError, match=r"file\.jsonl has no rows"):
            read(records(tmp_path))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=5), st.booleans())
def test_every_row_is_a_question_with_its_text(tmp_path, texts, second):
    make = V2_QUESTION if second else V0_REISSUED
    rows = [make | {"uid": f"q{number}", "prompt": text} for number, text in enumerate(texts)]
    found = read_questions(records(tmp_path, *rows))
    assert [question.turns for question in found] == [(text,) for text in texts]
