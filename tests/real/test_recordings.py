"""Recorded responses and scores as they really are, joined to instructions: how many match, and why not."""

import csv

import polars as pl
import pytest

from preceptor.instructions.collect import collect_instructions
from preceptor.lake.store import Lake
from preceptor.responses.recorded import collect_recorded
from preceptor.rewards.recorded import collect_recorded_rewards
from preceptor.study.reward_models import RecordedRewardModel
from preceptor.study.schema import Instructions, InstructionSource
from preceptor.study.teachers import RecordedTeacher
from tests.conftest import REAL_DATA

pytestmark = pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"no real data at {REAL_DATA}")

ARENA_BENCH, ARENA_HARD, ALPACA_EVAL = (
    REAL_DATA / name for name in ("arena_bench", "arena_hard", "alpaca_eval")
)
BEST_OF_16 = REAL_DATA / "best_of_16"
# These teachers answered six of arena_bench's one-turn questions with two or three turns.
TOO_MANY_TURNS = ("Llama-2-70b-chat", "claude-2", "gpt-3.5-turbo", "vicuna-33b-v1.3")
NEVER_GRADED = ("llama-13b", "vicuna-7b-v1.5", "vicuna-13b-v1.5")


def asked(path, format, **options):
    source = InstructionSource(name="asked", path=str(path), format=format, **options)
    return collect_instructions(Instructions(sources=(source,), near_duplicate_threshold=None))[0]


def recorded(path, format, **options) -> RecordedTeacher:
    name = path.name.split(".json")[0]
    return RecordedTeacher(name=name, engine="recorded", path=str(path), format=format, **options)


def collect_all(lake, folder, format, instructions) -> dict:
    files = sorted(folder.iterdir())
    found = [collect_recorded(lake, recorded(file, format), instructions) for file in files]
    return {file.name.split(".json")[0]: result for file, result in zip(files, found, strict=True)}


def test_15_arena_hard_teachers_answer_all_500_questions_but_one(lake):
    found = collect_all(
        lake, ARENA_HARD / "answers", "fastchat", asked(ARENA_HARD / "questions.jsonl.gz", "fastchat")
    )
    matched = {teacher: count.matched for teacher, (_, count) in found.items()}
    assert matched == {teacher: 499 if teacher == "llama-3.1-8b-instruct" else 500 for teacher in found}
    assert len(matched) == 15
    for outcome, count in found.values():
        assert count.unmatched.total() == 0
        assert outcome.rows["error"].null_count() == outcome.rows.height == count.read


def test_21_alpaca_eval_teachers_answer_all_805_instructions_joined_by_their_words(lake):
    questions = asked(ALPACA_EVAL / "outputs" / "alpaca-7b.json.gz", "alpaca_eval")
    found = collect_all(lake, ALPACA_EVAL / "outputs", "alpaca_eval", questions)
    matched = {teacher: count.matched for teacher, (_, count) in found.items()}
    assert matched == {
        teacher: 803 if teacher == "phi-2" else 805 for teacher in found
    }  # phi-2's file lacks two
    assert len(matched) == 21
    empty = {}
    for teacher, (outcome, count) in found.items():
        assert count.unmatched.total() == outcome.rows["error"].count() == 0
        empty[teacher] = sum(turns == [""] for turns in outcome.rows["turns"].to_list())
    assert {teacher: n for teacher, n in empty.items() if n} == {"gemma-2b-it": 22, "text_davinci_003": 2}


@pytest.mark.parametrize("sample", [0, 2, 4, 6])
def test_best_of_16_samples_join_by_id_and_by_words_alike(lake, sample):
    file = BEST_OF_16 / f"tulu-2-dpo-13b.{sample}.annotations.json.gz"
    questions = asked(file, "plain")
    options = {"columns": {"response": "output_2"}, "ignore": ("model_input", "output_1")}
    by_words, count = collect_recorded(lake, recorded(file, "plain", **options), questions)
    by_id, _ = collect_recorded(lake, recorded(file, "plain", **options, join="id"), questions)
    assert count.matched == by_words.rows["error"].null_count() == 805
    assert by_id.rows.drop("source_id").equals(by_words.rows.drop("source_id"))
    assert by_id.rows["source_id"].null_count() == 0
    assert by_words.rows["source_id"].null_count() == 805


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    """arena_bench's instructions, and per teacher what responses and rewards came of its files."""
    lake = Lake(str(tmp_path_factory.mktemp("store")), "arena")
    questions = asked(ARENA_BENCH / "questions.jsonl.gz", "fastchat")
    model = RecordedRewardModel(
        name="gpt-4-grade",
        engine="recorded",
        path=str(ARENA_BENCH / "gpt4_scores.csv"),
        teachers={"gpt-4-1106-preview": "gpt-4-turbo"},
    )
    responses = collect_all(lake, ARENA_BENCH / "answers", "fastchat", questions)
    rewards = {
        teacher: collect_recorded_rewards(lake, model, teacher, outcome.rows, questions)
        for teacher, (outcome, _) in responses.items()
    }
    return questions, responses, rewards


def test_18_arena_bench_teachers_answer_all_300_questions(arena):
    _, responses, _ = arena
    assert {count.matched for _, count in responses.values()} == {300}
    assert {count.unmatched.total() for _, count in responses.values()} == {0}
    failed = {teacher: outcome.rows["error"].count() for teacher, (outcome, _) in responses.items()}
    assert failed == {teacher: 6 if teacher in TOO_MANY_TURNS else 0 for teacher in responses}
    assert len(responses) == 18


def test_the_38_empty_scores_are_missing_by_file_and_line(arena):
    questions, _, rewards = arena
    ids = {row["instruction_id"]: row["source_ids"][0] for row in questions.iter_rows(named=True)}
    found, gaps = set(), set()
    for teacher, (outcome, count) in rewards.items():
        missing = outcome.rows.filter(pl.col("reward").is_null() & pl.col("error").is_null())
        gaps |= {(teacher, ids[id]) for id in missing["instruction_id"]}
        found |= {(teacher, reason) for reason in count.missing if reason.startswith("empty score")}
    with (ARENA_BENCH / "gpt4_scores.csv").open(newline="") as file:
        expected = {
            (row["model"].replace("gpt-4-turbo", "gpt-4-1106-preview"), row["question_id"], line)
            for line, row in enumerate(csv.DictReader(file), 2)
            if not row["score"]
        }
    assert len(expected) == 38
    assert found == {(teacher, f"empty score in gpt4_scores.csv:{line}") for teacher, _, line in expected}
    assert {gap for gap in gaps if gap[0] not in NEVER_GRADED} == {(t, id) for t, id, _ in expected}


def test_teachers_that_were_never_graded_have_300_named_gaps_each(arena):
    _, _, rewards = arena
    for teacher in NEVER_GRADED:
        outcome, count = rewards[teacher]
        assert outcome.rows["reward"].null_count() == 300
        assert outcome.rows["error"].drop_nulls().to_list() == []
        assert dict(count.missing) == {f"gpt4_scores.csv has no score of {teacher} for this instruction": 300}
        assert teacher not in count.models


def test_every_other_score_is_the_files_number(arena):
    questions, responses, rewards = arena
    ids = {row["instruction_id"]: row["source_ids"][0] for row in questions.iter_rows(named=True)}
    with (ARENA_BENCH / "gpt4_scores.csv").open(newline="") as file:
        scores = {(row["question_id"], row["model"]): row["score"] for row in csv.DictReader(file)}
    scored = 0
    for teacher, (outcome, count) in rewards.items():
        assert (count.read, count.bad_rows, count.unmatched_ids) == (4500, [], [])
        name = {"gpt-4-1106-preview": "gpt-4-turbo"}.get(teacher, teacher)
        answered = set(responses[teacher][0].rows.filter(pl.col("error").is_null())["response_id"])
        for row in outcome.rows.iter_rows(named=True):
            cell = scores.get((ids[row["instruction_id"]], name), "")
            usable = cell != "" and row["response_id"] in answered
            assert row["reward"] == (float(cell) if usable else None)
            assert (row["error"] is None) == (row["response_id"] in answered)
            scored += usable
    assert scored == 4500 - 38 - 6 * len(TOO_MANY_TURNS)
