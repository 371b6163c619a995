"""The reward's AUC against checked correctness."""

import pytest

from preceptor.current import current_fingerprints, register_current
from preceptor.lake.schemas import RAW_INSTRUCTIONS, RESPONSES, REWARDS
from preceptor.report.reward_check import check_reward
from tests.report.lakes import empty_warehouse, put, small_study


def checked(folder, rows, answer="7", check="number"):
    """Checks `rows`: (teacher, response, reward) of instruction 0, 1, …"""
    study = small_study()
    current = current_fingerprints(study)
    warehouse = empty_warehouse(folder)
    ids = [f"i{number}" for number in range(len(rows))]
    instructions = [{"instruction_id": id, "turns": ["?"], "answer": answer, "check": check} for id in ids]
    put(warehouse, RAW_INSTRUCTIONS, instructions)
    both = [
        {"response_id": id, "instruction_id": id, "teacher": teacher, "reward_model": "grader"}
        | {"reward": reward, "turns": ["first turn", said]}
        for id, (teacher, said, reward) in zip(ids, rows, strict=True)
    ]
    responses, rewards = [], []
    for row in both:
        kept = {key: value for key, value in row.items() if key not in ("reward", "reward_model")}
        responses.append({**kept, "fingerprint": current.responses[row["teacher"]]})
        kept = {key: value for key, value in row.items() if key != "turns"}
        rewards.append({**kept, "fingerprint": current.rewards[row["teacher"]]})
    put(warehouse, RESPONSES, responses)
    put(warehouse, REWARDS, rewards)
    register_current(warehouse, study, current)
    return check_reward(warehouse)


ROWS = [("a", "7", 0.9), ("a", "8", 0.2), ("a", "7", 0.2), ("b", "6", 0.5), ("b", "5", 0.1), ("b", "7", None)]


def test_overall_and_per_teacher_by_hand(tmp_path):
    found = checked(tmp_path, ROWS)
    # right: 0.9, 0.2; wrong: 0.2, 0.5, 0.1. Pairs won: 3 of 0.9's, and 0.5 + 0 + 1 of 0.2's
    assert (found.responses, found.accuracy, found.auc) == (5, pytest.approx(2 / 5), pytest.approx(4.5 / 6))
    assert found.teachers.rows() == [("a", 3, pytest.approx(2 / 3), 0.75), ("b", 2, 0.0, None)]
    assert found.verdict == (
        "A right response gets the higher reward in 75 % of pairs (AUC 0.750) over 5 checked responses."
    )


def test_a_weak_reward_is_called_weak(tmp_path):
    found = checked(tmp_path, [("a", "7", 0.5), ("a", "8", 0.4), ("b", "7", 0.3), ("b", "9", 0.6)])
    assert found.auc == 0.25  # of four pairs only 0.5 > 0.4 is right
    assert "below 0.75: r is weak" in found.verdict


def test_without_answers_the_reliability_is_unknown(tmp_path):
    assert checked(tmp_path, ROWS, answer=None).verdict.startswith("The reliability of r is unknown")


def test_equally_right_responses_leave_the_reliability_unknown(tmp_path):
    assert (
        "2 checked responses are all right or all wrong"
        in checked(tmp_path, [("a", "7", 0.5), ("a", "7", 0.4)]).verdict
    )


def test_a_response_with_an_unknown_check_counts_as_undecided(tmp_path):
    found = checked(tmp_path, ROWS, check="telepathy")
    assert (found.responses, found.undecided) == (0, 5)


def test_a_response_with_an_answer_that_its_check_refuses_counts_as_undecided(tmp_path):
    found = checked(tmp_path, ROWS, answer="7 m^2")
    assert (found.responses, found.undecided) == (0, 5)
