"""Recorded scores joined to responses: a missing or unusable score is named, and never a number."""

import gzip
import json

import pytest

from preceptor.instructions.collect import collect_instructions
from preceptor.lake.schemas import REWARDS
from preceptor.records import RecordsError
from preceptor.responses.recorded import collect_recorded
from preceptor.rewards.recorded import collect_recorded_rewards, refuse_unusable
from preceptor.study.reward_models import RecordedRewardModel
from preceptor.study.schema import InstructionColumns, Instructions, InstructionSource
from preceptor.study.teachers import RecordedTeacher

HEADER = "question_id,model,score"


def write(path, rows) -> str:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.fixture
def asked(tmp_path):
    """Three instructions, whose source calls them q1, q2 and q3."""
    rows = [{"instruction": f"Question {n}?", "id": f"q{n}"} for n in (1, 2, 3)]
    path = write(tmp_path / "asked.jsonl", rows)
    source = InstructionSource(name="asked", path=path, columns=InstructionColumns(id="id"))
    return collect_instructions(Instructions(sources=(source,), near_duplicate_threshold=None))[0]


@pytest.fixture
def answered(lake, tmp_path, asked):
    """One response of teacher `t` to each instruction."""
    return answers(lake, tmp_path, asked, *({"id": f"q{n}", "response": f"Answer {n}"} for n in (1, 2, 3)))


def answers(lake, tmp_path, asked, *rows):
    path = write(tmp_path / "answers.jsonl", rows)
    teacher = RecordedTeacher(name="t", engine="recorded", path=path, join="id")
    return collect_recorded(lake, teacher, asked)[0].rows


def scores(tmp_path, *lines, header=HEADER, **options) -> RecordedRewardModel:
    (tmp_path / "scores.csv").write_text("\n".join([header, *lines]) + "\n")
    return RecordedRewardModel(name="r", engine="recorded", path=str(tmp_path / "scores.csv"), **options)


def outcomes(outcome) -> list[tuple[float | None, str | None]]:
    return list(outcome.rows.select("reward", "error").iter_rows())


def test_every_response_gets_its_score_whatever_the_files_order(lake, tmp_path, asked, answered):
    model = scores(tmp_path, "q3,t,3.5", "q1,t,-1", "q2,other,9", "q2,t, 2e0 ")
    outcome, count = collect_recorded_rewards(lake, model, "t", answered, asked)
    assert outcomes(outcome) == [(-1.0, None), (2.0, None), (3.5, None)]
    assert outcome.rows["response_id"].to_list() == answered["response_id"].to_list()
    assert (count.read, dict(count.models), count.bad_rows, count.unmatched_ids) == (
        4,
        {"t": 3, "other": 1},
        [],
        [],
    )


@pytest.mark.parametrize(
    "cell",
    ["abc", "8/10", "nan", "NaN", "inf", "-inf", "1e999", "[[8]]", "None", "true", "1_000", "0x8", "\u0664"],
)
def test_a_cell_that_is_no_finite_number_is_an_error_with_its_place(lake, tmp_path, asked, answered, cell):
    model = scores(tmp_path, "q1,t,1", f"q2,t,{cell}", "q3,t,0")
    outcome, _ = collect_recorded_rewards(lake, model, "t", answered, asked)
    (first, bad, zero) = outcomes(outcome)
    assert (first, zero) == ((1.0, None), (0.0, None))
    assert bad[0] is None
    assert "scores.csv:3" in bad[1]


@pytest.mark.parametrize(
    "score",
    ["NaN", "Infinity", "[8]", '{"score": 8}', '"eight"', "1" + "0" * 400, "true", "false", '"1_000"'],
)
def test_a_json_score_that_is_no_finite_number_is_an_error_with_its_place(
    lake, tmp_path, asked, answered, score
):
    lines = [f'{{"question_id": "q{n}", "model": "t", "score": {s}}}' for n, s in ((1, "7"), (2, score))]
    (tmp_path / "scores.jsonl").write_text("\n".join(lines))
    model = RecordedRewardModel(name="r", engine="recorded", path=str(tmp_path / "scores.jsonl"))
    outcome, _ = collect_recorded_rewards(lake, model, "t", answered, asked)
    (good, bad, _) = outcomes(outcome)
    assert good == (7.0, None)
    assert bad[0] is None
    assert "scores.jsonl:2" in bad[1]


def test_a_missing_score_is_missing_and_not_failed(lake, tmp_path, asked, answered):
    model = scores(tmp_path, "q1,other,1", "q2,t, ", "q3,t,7")
    outcome, count = collect_recorded_rewards(lake, model, "t", answered, asked)
    assert outcomes(outcome) == [(None, None), (None, None), (7.0, None)]
    assert dict(count.missing) == {
        "scores.csv has no score of t for this instruction": 1,
        "empty score in scores.csv:3": 1,
    }


def test_a_teacher_without_scores_has_a_row_per_response_and_none_failed(lake, tmp_path, asked, answered):
    outcome, count = collect_recorded_rewards(lake, scores(tmp_path, "q1,other,1"), "t", answered, asked)
    assert outcomes(outcome) == [(None, None)] * 3
    assert dict(count.missing) == {"scores.csv has no score of t for this instruction": 3}
    assert dict(count.models) == {"other": 1}


def test_ids_that_are_not_those_of_the_study_are_refused_with_an_example_of_each(
    lake, tmp_path, asked, answered
):
    with pytest.raises(RecordsError) as refusal:
        collect_recorded_rewards(lake, scores(tmp_path, "7,t,1", "8,t,1"), "t", answered, asked)
    for part in ("'r'", "scores.csv", "2 scores of t", "such as '7'", "such as 'q1'", "'columns: {id: …}'"):
        assert part in str(refusal.value)
    nameless = asked.with_columns(source_ids=asked["source_ids"].list.head(0))
    with pytest.raises(RecordsError, match="the study's instructions have no ids"):
        collect_recorded_rewards(lake, scores(tmp_path, "7,t,1"), "t", answered, nameless)


def test_a_renamed_teacher_is_looked_up_by_the_files_name_only(lake, tmp_path, asked, answered):
    model = scores(tmp_path, "q1,t,1", "q1,T v2,5", "q2,T v2,6", teachers={"t": "T v2"})
    outcome, _ = collect_recorded_rewards(lake, model, "t", answered, asked)
    assert [reward for reward, _ in outcomes(outcome)] == [5.0, 6.0, None]


@pytest.mark.parametrize("second", ["5", "4", ""])
def test_two_scores_of_one_answer_are_an_error_and_neither_is_taken(lake, tmp_path, asked, answered, second):
    model = scores(tmp_path, "q1,t,4", "q2,t,4", f"q1,t,{second}", "q1,other,1")
    outcome, _ = collect_recorded_rewards(lake, model, "t", answered, asked)
    assert outcomes(outcome)[0] == (None, "two scores in scores.csv:4")
    assert outcomes(outcome)[1] == (4.0, None)


def test_ids_that_no_instruction_has_are_listed_and_only_this_teachers(lake, tmp_path, asked, answered):
    model = scores(tmp_path, "z,t,1", "q1,t,1", "x,t,", "y,other,1")
    _, count = collect_recorded_rewards(lake, model, "t", answered, asked)
    assert count.unmatched_ids == ["x", "z"]


def test_a_bad_line_is_listed_with_its_place_and_the_others_go_on(lake, tmp_path, asked, answered):
    model = scores(tmp_path, "q1,t,1", "q2,t,2,surplus", "q3,t,3")
    outcome, count = collect_recorded_rewards(lake, model, "t", answered, asked, lost_rows=0.4)
    assert [reward for reward, _ in outcomes(outcome)] == [1.0, None, 3.0]
    assert count.bad_rows == ["scores.csv:3: more fields than the header"]
    assert count.losses() == [
        "1 of 3 rows of the score file cannot be read; the first is scores.csv:3: more fields than the header"
    ]
    with pytest.raises(RecordsError, match=r"1 of 3 rows cannot be read, .* the first is scores.csv:3: more"):
        collect_recorded_rewards(lake, model, "t", answered, asked, lost_rows=0.3)


WHOLE = [{"question_id": f"q{n}", "model": "t", "score": n} for n in (1, 2, 3)]
LINES = "".join(json.dumps(row) + "\n" for row in WHOLE).encode()
NOT_WHOLE = {
    "a list named .jsonl": (
        "s.jsonl",
        json.dumps(WHOLE).encode(),
        "contains a JSON list",
    ),
    "lines named .json": ("s.json", LINES, "rename it to .jsonl"),
    "UTF-16": ("s.jsonl", LINES.decode().encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
    "Parquet named .csv": ("s.csv", b"PAR1xxxx", "is a Parquet file; rename it to .parquet"),
    "tabs in a .csv": ("s.csv", b"question_id\tmodel\tscore\nq1\tt\t1\n", "fields are separated by ','"),
    "a .json that was cut": ("s.json", json.dumps(WHOLE).encode()[:-20], "cannot be read"),
    "a gzip that was cut": ("s.jsonl.gz", gzip.compress(LINES)[:-9], "ends too early"),
    "a line that was cut": ("s.jsonl", LINES[:-9], "1 of 3 rows cannot be read"),
    "no id": ("s.jsonl", LINES + b'{"question_id": null, "model": "t", "score": 1}', "s.jsonl:4: says no id"),
    "no model": ("s.csv", b"question_id,model,score\nq1,,1\n", "s.csv:2: says no model"),
}


@pytest.mark.parametrize(("name", "data", "sentence"), NOT_WHOLE.values(), ids=NOT_WHOLE)
def test_a_score_file_that_looks_whole_and_is_not_is_refused(
    lake, tmp_path, asked, answered, name, data, sentence
):
    (tmp_path / name).write_bytes(data)
    model = RecordedRewardModel(name="r", engine="recorded", path=str(tmp_path / name))
    with pytest.raises(RecordsError) as refusal:
        collect_recorded_rewards(lake, model, "t", answered, asked)
    assert name in str(refusal.value) and sentence in str(refusal.value)


@pytest.mark.parametrize("column", ["question_id", "model", "score"])
def test_a_missing_column_is_refused_with_those_that_are_there(lake, tmp_path, asked, answered, column):
    header = HEADER.replace(column, "other")
    with pytest.raises(RecordsError) as refusal:
        collect_recorded_rewards(lake, scores(tmp_path, "q1,t,1", header=header), "t", answered, asked)
    for part in (
        "'r'",
        f"no column {column!r}",
        f"(there are {header.replace(',', ', ')})",
        "set 'columns: {",
    ):
        assert part in str(refusal.value)
    assert lake.version(REWARDS) is None


def test_a_missing_column_is_answered_with_the_setting_as_far_as_it_can_be_known(tmp_path):
    file = scores(tmp_path, "q1,t,1", header="Question ID,Teacher,my grade")
    with pytest.raises(
        RecordsError, match=r"set 'columns: \{id: Question ID, model: Teacher, score: my grade\}'"
    ):
        refuse_unusable(file, 0.05)
    with pytest.raises(RecordsError, match=r"set 'columns: \{id: …, model: model, score: score\}'"):
        refuse_unusable(scores(tmp_path, "Why?,t,1", header="question,model,score"), 0.05)


def test_columns_may_have_any_name(lake, tmp_path, asked, answered):
    columns = {"id": "a", "model": "b", "score": "c"}
    model = scores(tmp_path, "7,t,q1", header="c,b,a", columns=columns)
    outcome, _ = collect_recorded_rewards(lake, model, "t", answered, asked)
    assert outcomes(outcome)[0] == (7.0, None)


def test_a_failed_response_has_no_reward_even_where_the_file_scores_it(lake, tmp_path, asked):
    answered = answers(lake, tmp_path, asked, {"id": "q1", "response": None}, {"id": "q2", "response": "a"})
    outcome, _ = collect_recorded_rewards(lake, scores(tmp_path, "q1,t,9", "q2,t,8"), "t", answered, asked)
    assert outcomes(outcome)[0] == (None, "no response: the recording answers 0 of 1 turns")
    assert outcomes(outcome)[1] == (8.0, None)


def test_the_score_is_of_the_first_sample_and_the_others_say_so(lake, tmp_path, asked):
    answered = answers(lake, tmp_path, asked, {"id": "q1", "response": "a"}, {"id": "q1", "response": "b"})
    outcome, count = collect_recorded_rewards(lake, scores(tmp_path, "q1,t,9"), "t", answered, asked)
    assert outcomes(outcome)[0] == (9.0, None)
    assert outcomes(outcome)[1] == (None, None)
    assert dict(count.missing) == {"a file by question id and model scores the first sample only": 1}


def test_a_score_whose_id_several_instructions_have_is_given_to_none_of_them(lake, tmp_path):
    columns = InstructionColumns(id="id")
    sources = []
    for name, rows in (("a", [("One?", "1")]), ("b", [("Two?", "1"), ("Three?", "2")])):
        path = write(tmp_path / f"{name}.jsonl", [{"instruction": words, "id": id} for words, id in rows])
        sources.append(InstructionSource(name=name, path=path, columns=columns))
    asked, _ = collect_instructions(Instructions(sources=tuple(sources), near_duplicate_threshold=None))
    path = write(
        tmp_path / "answers.jsonl", [{"instruction": w, "response": "x"} for w in ("One?", "Two?", "Three?")]
    )
    answered = collect_recorded(lake, RecordedTeacher(name="t", engine="recorded", path=path), asked)[0].rows
    outcome, _ = collect_recorded_rewards(lake, scores(tmp_path, "1,t,9", "2,t,4"), "t", answered, asked)
    assert [reward for reward, _ in outcomes(outcome)] == [None, None, 4.0]
    assert all("several instructions" in error for _, error in outcomes(outcome)[:2])


def test_a_rerun_makes_no_new_version_and_a_changed_file_replaces_the_rows(lake, tmp_path, asked, answered):
    first, _ = collect_recorded_rewards(lake, scores(tmp_path, "q1,t,1"), "t", answered, asked)
    again, _ = collect_recorded_rewards(lake, scores(tmp_path, "q1,t,1"), "t", answered, asked)
    assert (again.version, again.computed, again.reused) == (first.version, 0, 3)
    changed, _ = collect_recorded_rewards(lake, scores(tmp_path, "q1,t,2.25"), "t", answered, asked)
    assert changed.version == first.version + 1
    assert lake.read(REWARDS)["reward"].to_list() == [2.25, None, None]
    assert lake.read(REWARDS, version=first.version)["reward"].to_list() == [1.0, None, None]
    more, _ = collect_recorded_rewards(lake, scores(tmp_path, "q1,t,2.25", "q1,u,7"), "t", answered, asked)
    assert (more.version, more.computed) == (changed.version, 0)  # another teacher's score came


def test_the_fingerprint_changes_with_the_scores_their_column_and_the_models_name(
    lake, tmp_path, asked, answered
):
    header, columns = "question_id,model,score,grade", {"score": "grade"}
    found = []
    for line, options in (
        ("q1,t,1,2", {}),
        ("q1,t,3,2", {}),
        ("q1,t,1,2", {"columns": columns}),
        ("q1,t,1,2", {"teachers": {"t": "other"}}),
        ("q1,t,1,2", {"teachers": {"someone": "else"}}),
        ("q1,t,1,9", {}),
    ):
        model = scores(tmp_path, line, header=header, **options)
        found.append(collect_recorded_rewards(lake, model, "t", answered, asked)[0].fingerprint)
    assert len(set(found[:4])) == 4
    assert found[4] == found[5] == found[0]  # another teacher's name, and a column that nothing reads


def test_of_two_ids_for_one_prompt_each_answer_gets_the_score_of_its_own(lake, tmp_path):
    rows = [{"instruction": text, "id": id} for id, text in (("q1", "Same?"), ("q2", "Same? "))]
    path = write(tmp_path / "asked.jsonl", rows)
    source = InstructionSource(name="asked", path=path, columns=InstructionColumns(id="id"))
    asked = collect_instructions(Instructions(sources=(source,)))[0]
    answered = answers(lake, tmp_path, asked, {"id": "q2", "response": "b"}, {"id": "q1", "response": "a"})
    outcome, _ = collect_recorded_rewards(lake, scores(tmp_path, "q1,t,10", "q2,t,1"), "t", answered, asked)
    assert answered["turns"].to_list() == [["b"], ["a"]]
    assert outcomes(outcome) == [(1.0, None), (10.0, None)]
