"""The recipe that made the demo's models, run end to end at a small step count, and what lies committed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from scipy.stats import binomtest
from transformers import AutoConfig, AutoTokenizer

from preceptor.compute.conversation import Conversation
from preceptor.compute.generation import TransformersGenerator
from preceptor.compute.request import Decoding, Request
from preceptor.compute.reward import RewardScorer
from preceptor.evaluation.checkers import CHECKS
from studies.demo.zoo.build import INSTRUCTIONS, SEED, place
from studies.demo.zoo.graders import QUESTIONS, graded_answers, make_grader
from studies.demo.zoo.language_models import make_reader, make_talker
from studies.demo.zoo.models import BASES, JUDGE, REWARD_MODEL, TEACHERS
from studies.demo.zoo.splits import distinct_tasks, split_of, write_tasks

DEMO = Path(__file__).parents[2] / "studies" / "demo"
FOLDERS = [*(place(DEMO, model) for model in (*TEACHERS, *BASES)), DEMO / "reward-model", DEMO / "judge"]
FEW = 12


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    make_talker(replace(TEACHERS[0], steps=FEW), folder)
    return folder


def test_a_teacher_is_rebuilt_from_its_script(rebuilt):
    """At a few steps only the weights may differ from the committed folder."""
    committed = place(DEMO, TEACHERS[0])
    assert {file.name for file in rebuilt.iterdir()} == {file.name for file in committed.iterdir()}
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json", "chat_template.jinja"):
        assert (rebuilt / name).read_text() == (committed / name).read_text(), name
    new, old = (load_file(folder / "model.safetensors") for folder in (rebuilt, committed))
    assert {k: (v.shape, v.dtype) for k, v in new.items()} == {k: (v.shape, v.dtype) for k, v in old.items()}


def test_the_same_seed_gives_the_same_weights(rebuilt, tmp_path):
    make_talker(replace(TEACHERS[0], steps=FEW), tmp_path)
    first, second = (load_file(folder / "model.safetensors") for folder in (rebuilt, tmp_path))
    assert all(torch.equal(first[name], second[name]) for name in first)
    make_talker(replace(TEACHERS[0], steps=FEW, seed=99), tmp_path)
    other = load_file(tmp_path / "model.safetensors")
    assert any(
        not torch.equal(first[name], other[name]) for name in first if first[name].shape == other[name].shape
    )


def test_a_rebuilt_teacher_answers_and_is_graded(rebuilt, tmp_path):
    asked = distinct_tasks("making", 1, 8)
    graded = graded_answers(rebuilt, asked, seed=1)
    assert len(graded) == 16
    assert sum(answer.right for answer in graded) <= 2  # a dozen steps teach next to nothing
    grader = replace(REWARD_MODEL, steps=3, start=replace(REWARD_MODEL.start, steps=2))
    make_grader(grader, [rebuilt], tmp_path, questions=20)
    rewards = RewardScorer(str(tmp_path)).score([Conversation(None, ("What is 2 plus 3?",), ("5",))])
    assert rewards[0].error is None


def test_a_base_is_made_of_plain_text(tmp_path):
    make_reader(replace(BASES[0], steps=FEW), tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer.chat_template is None
    assert tokenizer("red fox 41", add_special_tokens=False).tokens()[-2:] == ["4", "1"]


def test_committed_models_are_small_real_and_varied():
    assert sum(file.stat().st_size for file in DEMO.rglob("*") if file.is_file()) < 10 * 2**20
    assert not [file for file in DEMO.rglob("*") if file.suffix in (".bin", ".pt", ".pkl", ".pth")]
    sizes: dict[str, set[int]] = {}
    for teacher in TEACHERS:
        config = AutoConfig.from_pretrained(place(DEMO, teacher))
        sizes.setdefault(config.model_type, set()).add(config.hidden_size)
    assert len(TEACHERS) >= 8
    assert len(sizes) >= 3
    assert sum(len(widths) == 2 for widths in sizes.values()) >= 2


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_committed_model_has_heads_that_vllm_takes_and_its_own_tokenizer(folder):
    config = AutoConfig.from_pretrained(folder)
    heads = (
        config.head_dim if hasattr(config, "head_dim") else config.hidden_size // config.num_attention_heads
    )
    assert heads in (32, 64)
    with safe_open(folder / "model.safetensors", "pt") as weights:
        assert weights.keys()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert (tokenizer.chat_template is None) == (folder.parent.name == "bases")
    assert len(tokenizer) == config.vocab_size


def test_committed_instructions_are_the_scripts_and_share_nothing(tmp_path):
    for split, name in (("tuning", "instructions.jsonl"), ("evaluation", "benchmark.jsonl")):
        write_tasks(tmp_path / name, distinct_tasks(split, SEED, INSTRUCTIONS[split]))
        assert (tmp_path / name).read_text() == (DEMO / name).read_text()
        assert {split_of(json.loads(line)["instruction"]) for line in (DEMO / name).open()} == {split}
    asked = [json.loads(line)["instruction"] for line in (DEMO / "reference.jsonl").open()]
    assert asked == [json.loads(line)["instruction"] for line in (DEMO / "benchmark.jsonl").open()]


def test_reward_model_and_judge_hardly_share_questions_and_no_family():
    ours, theirs = (
        {task.instruction for task in distinct_tasks("making", grader.seed, QUESTIONS)}
        for grader in (REWARD_MODEL, JUDGE)
    )
    assert len(ours & theirs) < 0.05 * len(ours)
    assert REWARD_MODEL.start.family != JUDGE.start.family


def test_committed_teachers_solve_measurably_different_shares():
    """Greedy answers to 130 questions of the tuning set; the intervals of best and worst do not meet."""
    right = {}
    asked = distinct_tasks("tuning", SEED, 130)
    for teacher in TEACHERS:
        generator = TransformersGenerator(
            str(place(DEMO, teacher)), decoding=Decoding(max_new_tokens=80), batch_size=130, device="cpu"
        )
        answers = generator.generate([Request(None, (task.instruction,), 0) for task in asked])
        right[teacher.name] = sum(
            CHECKS[t.check](a.turns[0], t.right) for t, a in zip(asked, answers, strict=True)
        )
    worst, best = (binomtest(n, 130).proportion_ci() for n in (min(right.values()), max(right.values())))
    assert worst.low > 0.2, right
    assert worst.high < best.low, right
