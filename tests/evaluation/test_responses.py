"""Benchmarks with the same prompts share a tuned model's answers, and each item has its own seed."""

import pytest

from preceptor.compute.generation import TransformersGenerator
from preceptor.compute.request import Decoding
from preceptor.evaluation.items import Item, read_items
from preceptor.evaluation.job import Engines, EvaluationJob
from preceptor.evaluation.responses import Asked, answer_items
from preceptor.lake.schemas import STUDENT_RESPONSES
from preceptor.study.fields import Sampling
from preceptor.text import digest
from tests.evaluation.benchmarks import Student, checkers, checkpoint, duels, forbidden, pairwise, sums

ITEMS = [Item(digest("", f"say {n}"), None, (f"say {n}",)) for n in range(5)]


def answer(lake, student, items=ITEMS, run="run", made="checkpoint", sampling=None, load=None):
    how = Asked(sampling or Sampling(max_new_tokens=8))
    using = Engines(load or student.load, forbidden, forbidden, forbidden, forbidden)
    return answer_items(EvaluationJob(lake, run, None, checkpoint(made), using, 2), items, how)


def test_every_item_has_one_row_with_its_answer(lake):
    student = Student(lambda instruction: instruction.upper())
    outcome = answer(lake, student)
    rows = {row["item_id"]: row for row in lake.read(STUDENT_RESPONSES).iter_rows(named=True)}
    assert {id: row["turns"] for id, row in rows.items()} == {i.item_id: [i.user[0].upper()] for i in ITEMS}
    assert {(r["run"], r["finish_reason"], r["prompt_tokens"], r["error"]) for r in rows.values()} == {
        ("run", "stop", 3, None)
    }
    assert (outcome.computed, outcome.reused, student.loaded) == (5, 0, ["/models/checkpoint"])


def test_a_prompt_that_cannot_be_answered_is_a_row_with_an_error(lake):
    student = Student(str.upper, fails=lambda instruction: "too long" if "3" in instruction else None)
    errors = answer(lake, student).rows.filter(item_id=ITEMS[3].item_id).to_dicts()
    assert [(row["turns"], row["error"]) for row in errors] == [([], "too long")]


def test_a_lone_surrogate_is_stored_as_a_replacement_character(lake):
    rows = answer(lake, Student(lambda instruction: "\ud800!"), ITEMS[:1]).rows
    assert rows["turns"].to_list() == [["\ufffd!"]]


def test_benchmarks_with_the_same_prompts_share_answers(lake, tmp_path, reward_model):
    answered = [{"instruction": row["instruction"], "output": "1"} for row in sums(4)]
    first = read_items(checkers(tmp_path, sums(4)))
    second = read_items(pairwise(tmp_path, answered[::-1], reward_model))
    computed = answer(lake, Student(str.upper), first)
    shared = answer(lake, None, second, load=forbidden)
    assert (shared.computed, shared.rows.equals(computed.rows), shared.version) == (0, True, computed.version)


def test_another_run_checkpoint_sampling_or_instruction_needs_new_answers(lake, tmp_path, reward_model):
    student = Student(str.upper)
    answer(lake, student)
    assert answer(lake, student, run="other").computed == 5
    assert answer(lake, student, sampling=Sampling(max_new_tokens=9)).computed == 5
    assert answer(lake, student, items=ITEMS[:4]).computed == 4
    assert answer(lake, student, made="another").computed == 5
    assert read_items(pairwise(tmp_path, duels(5), reward_model))[2].item_id == ITEMS[2].item_id


def test_answers_with_two_samplings_are_both_kept(lake):
    answer(lake, Student(str.upper))
    answer(lake, Student(str.upper), sampling=Sampling(max_new_tokens=9))
    assert answer(lake, None, load=forbidden).reused == 5


def test_every_item_has_its_own_seed_that_changes_with_the_samplings(lake):
    seeds = []
    for seed in (0, 1):
        student = Student(str.upper)
        answer(lake, student, sampling=Sampling(seed=seed))
        seeds += [request.seed for request in student.asked]
    assert len(set(seeds)) == 10
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_samples_of_an_item_have_a_row_and_a_seed_each(lake):
    student = Student(str.upper)
    sampled = Sampling(n=3, temperature=1.0)
    rows = answer(lake, student, sampling=sampled).rows
    assert rows.select("item_id", "sample").n_unique() == rows.height == 15
    seeds = [request.seed for request in student.asked]
    assert len(set(seeds)) == 15
    assert [seed - seeds[0] for seed in seeds[:3]] == [0, 1, 2]  # neighbours, so engines draw them together
    assert student.closed == 1


def test_a_killed_run_asks_only_for_missing_answers(lake):
    def dies(instruction):
        if instruction == last.user[0]:
            raise KeyboardInterrupt
        return instruction

    last = max(ITEMS, key=lambda item: item.item_id)  # items are asked in the order of their ids
    with pytest.raises(KeyboardInterrupt):
        answer(lake, Student(dies))
    student = Student(str.upper)
    outcome = answer(lake, student)
    assert (outcome.computed, outcome.reused) == (1, 4)
    assert [request.user for request in student.asked] == [last.user]


def test_a_real_models_sampled_answers_do_not_depend_on_the_batch_or_the_order(lake, teacher_model):
    def load(batch_size):
        decoding = Decoding(temperature=1.0, max_new_tokens=6)
        return lambda folder, sampling, prompt_format: TransformersGenerator(
            folder, decoding=decoding, device="cpu", batch_size=batch_size
        )

    how = Asked(Sampling(temperature=1.0, max_new_tokens=6, seed=3))
    tuned = checkpoint("tuned", folder=teacher_model)

    def by(run, batch_size):
        using = Engines(load(batch_size), forbidden, forbidden, forbidden, forbidden)
        return EvaluationJob(lake, run, None, tuned, using, batch_size)

    one = answer_items(by("one", 1), ITEMS, how)
    all_at_once = answer_items(by("all", 8), ITEMS[::-1], how)
    assert one.rows.equals(all_at_once.rows)
    assert one.rows["turns"].n_unique() == len(ITEMS)
    assert one.rows["response_tokens"].max() <= 6
