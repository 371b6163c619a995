"""A slice of studies/arena_bench.yaml against a computation that shares no code with Preceptor's.

From the raw files: gzip, json and csv; one transformers forward pass per response; numpy. 40 instructions
hold an empty score, answers with too many turns, empty answers and texts beyond both bases' contexts.
"""

import csv
import gzip
import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from preceptor.compute.loss import LossScorer
from preceptor.current import ROW_TABLES, current_fingerprints
from preceptor.instructions.collect import collect_instructions
from preceptor.lake.resume import put
from preceptor.lake.schemas import BASE_LOSSES, RAW_INSTRUCTIONS
from preceptor.lake.store import Lake
from preceptor.lake.warehouse import Warehouse
from preceptor.losses.score import score_losses
from preceptor.responses.recorded import collect_recorded
from preceptor.rewards.recorded import collect_recorded_rewards
from preceptor.study.load import load_study
from preceptor.suitability.table import build_car_table
from tests.conftest import REAL_DATA

MODELS = REAL_DATA.parent / "models"
pytestmark = pytest.mark.skipif(
    not (REAL_DATA.is_dir() and MODELS.is_dir()), reason=f"no real data at {REAL_DATA} and {MODELS}"
)

REPOSITORY = Path(__file__).parents[2]
LIMIT = 40
BASES = {"stories260k": 512, "aidreams260k": 128}  # and their contexts
RENAMED = {"gpt-4-1106-preview": "gpt-4-turbo"}  # as the score file calls it
GRADED = ("gpt-4-1106-preview", "Llama-2-70b-chat", "Mistral-7B-Instruct-v0.1")
TEACHERS = [*GRADED, "llama-13b"]
BETA = 3


@dataclass
class Expected:
    """What the raw files and plain forward passes say: by base and teacher, by question id."""

    rewards: dict[str, dict[str, float]]
    losses: dict[tuple[str, str], dict[str, float]]
    shares: dict[tuple[str, str], float]
    answered: dict[str, int]


@dataclass
class Found:
    """What Preceptor made of the same files."""

    table: dict[tuple[str, str], dict]
    losses: dict[tuple[str, str], dict[str, float]]


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).split(b"\n") if line]


def raw_texts() -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """Instruction by question id; response by teacher and question id, where it has one turn as it should."""
    questions = lines(REAL_DATA / "arena_bench" / "questions.jsonl.gz")[:LIMIT]
    instructions = {row["question_id"]: row["turns"][0] for row in questions}
    responses = {}
    for teacher in TEACHERS:
        answers = lines(REAL_DATA / "arena_bench" / "answers" / f"{teacher}.jsonl.gz")
        turns = {row["question_id"]: row["choices"][0]["turns"] for row in answers}
        responses[teacher] = {id: turns[id][0] for id in instructions if len(turns[id]) == 1}
    return instructions, responses


def raw_rewards(responses: dict[str, dict[str, str]]) -> dict[str, dict[str, float]]:
    with (REAL_DATA / "arena_bench" / "gpt4_scores.csv").open(newline="") as file:
        scores = {(row["question_id"], row["model"]): row["score"] for row in csv.DictReader(file)}
    named = {t: {id: scores.get((id, RENAMED.get(t, t)), "") for id in responses[t]} for t in TEACHERS}
    return {t: {id: float(score) for id, score in cells.items() if score} for t, cells in named.items()}


@torch.no_grad()
def plain_loss(model, tokenizer, context: int, instruction: str, response: str) -> tuple[list[float], int]:
    """NLL of each response token that can be asked for, and how many tokens the response has uncut."""
    before = f"{tokenizer.bos_token}<|user|>\n{instruction}\n<|assistant|>\n"
    text = before + response + tokenizer.eos_token
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids, begin, end = encoded["input_ids"], len(before), len(before) + len(response)
    places = [i for i, (a, b) in enumerate(encoded["offset_mapping"]) if b > begin and a < end]
    total = len(places)
    if places and len(ids) > context:
        kept = min(places[0], context // 2)
        cut = places[0] - kept
        front = [tokenizer.bos_token_id] if cut and ids[0] == tokenizer.bos_token_id else []
        ids = (front + ids[cut + len(front) :])[:context]
        places = [place - cut for place in places if place - cut < context]
    places = [place for place in places if place > 0]
    if not places:
        return [], total
    probabilities = model(torch.tensor([ids])).logits[0].double().softmax(1)
    return [-math.log(probabilities[place - 1, ids[place]]) for place in places], total


@pytest.fixture(scope="module")
def expected() -> Expected:
    instructions, responses = raw_texts()
    losses, shares = {}, {}
    for base, context in BASES.items():
        tokenizer = AutoTokenizer.from_pretrained(MODELS / base)
        model = AutoModelForCausalLM.from_pretrained(MODELS / base, dtype=torch.float32).eval()
        for teacher in TEACHERS:
            texts = [(id, instructions[id], response) for id, response in responses[teacher].items()]
            scored = {id: plain_loss(model, tokenizer, context, *pair) for id, *pair in texts}
            losses[base, teacher] = {id: float(np.mean(nll)) for id, (nll, _) in scored.items() if nll}
            total = sum(total for _, total in scored.values())
            shares[base, teacher] = sum(len(nll) for nll, _ in scored.values()) / total
    return Expected(raw_rewards(responses), losses, shares, {t: len(responses[t]) for t in TEACHERS})


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Found:
    folder = tmp_path_factory.mktemp("slice")
    study = load_study(sliced_study(folder), {"PRECEPTOR_DATA": str(REAL_DATA)})
    lake = Lake(str(folder / "store"), study.name)
    instructions, _ = collect_instructions(study.instructions)
    put(lake, RAW_INSTRUCTIONS, {}, "slice", instructions)
    for teacher in study.teachers:
        responses, _ = collect_recorded(lake, teacher, instructions)
        collect_recorded_rewards(lake, study.reward_models[0], teacher.name, responses.rows, instructions)
        for base in study.bases:
            score_losses(lake, base, teacher.name, responses.rows, instructions, scorer)
    warehouse = Warehouse(lake, REPOSITORY / "sql")
    warehouse.attach(*ROW_TABLES)
    rows = {
        (row["base"], row["teacher"]): row
        for row in build_car_table(warehouse, study, current_fingerprints(study)).to_dicts()
    }
    return Found(rows, stored_losses(lake, instructions))


def sliced_study(folder: Path) -> Path:
    """The study's own declarations: fewer teachers and bases, the first instructions, no recipes."""
    document = yaml.safe_load((REPOSITORY / "studies" / "arena_bench.yaml").read_text())
    document["instructions"]["sources"][0]["limit"] = LIMIT
    document["teachers"] = [teacher for teacher in document["teachers"] if teacher["name"] in TEACHERS]
    document["bases"] = [base for base in document["bases"] if base["name"] in BASES]
    document["instructions"]["near_duplicate_threshold"] = None
    del document["recipes"]
    (folder / "study.yaml").write_text(yaml.safe_dump(document))
    return folder / "study.yaml"


@lru_cache(maxsize=len(BASES))
def scorer(base) -> LossScorer:
    return LossScorer(device="cpu", **base.model_dump(exclude={"name", "family", "size_billions"}))


def stored_losses(lake: Lake, instructions) -> dict[tuple[str, str], dict[str, float]]:
    ids = {row["instruction_id"]: row["source_ids"][0] for row in instructions.iter_rows(named=True)}
    losses: dict[tuple[str, str], dict[str, float]] = {}
    for row in lake.read(BASE_LOSSES).iter_rows(named=True):
        if row["error"] is None:
            found = losses.setdefault((row["base"], row["teacher"]), {})
            found[ids[row["instruction_id"]]] = row["nll_sum"] / row["tokens"]
    return losses


def common_rows(expected: Expected, base: str) -> tuple[np.ndarray, np.ndarray]:
    """(graded teachers, instructions common to them): rewards and losses."""
    ids = set.intersection(*({*expected.rewards[t]} & {*expected.losses[base, t]} for t in GRADED))
    cells = [[(expected.rewards[t][id], expected.losses[base, t][id]) for id in sorted(ids)] for t in GRADED]
    return np.array(cells)[..., 0], np.array(cells)[..., 1]


def test_the_slice_holds_what_makes_it_hard(expected):
    assert {teacher: len(scores) for teacher, scores in expected.rewards.items()} == {
        "gpt-4-1106-preview": 40,
        "Llama-2-70b-chat": 37,  # three answers with too many turns
        "Mistral-7B-Instruct-v0.1": 39,  # an empty score
        "llama-13b": 0,
    }
    assert len(expected.losses["stories260k", "llama-13b"]) < expected.answered["llama-13b"] == 40
    assert expected.shares["aidreams260k", "gpt-4-1106-preview"] < 0.5
    assert common_rows(expected, "stories260k")[0].shape == (3, 36)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("teacher", TEACHERS)
def test_every_responses_mean_nll_is_that_of_a_plain_forward_pass(expected, found, base, teacher):
    assert found.losses[base, teacher] == pytest.approx(expected.losses[base, teacher], abs=1e-4)


@pytest.mark.parametrize("base", BASES)
def test_mean_reward_mean_loss_and_car_are_taken_over_the_common_rows(expected, found, base):
    rewards, losses = common_rows(expected, base)
    for teacher, reward, loss in zip(GRADED, rewards.mean(1), losses.mean(1), strict=True):
        row = found.table[base, teacher]
        assert row["mean_reward"] == pytest.approx(reward, abs=1e-4)
        assert row["mean_loss"] == pytest.approx(loss, abs=1e-4)
        assert row["car"] == pytest.approx(reward / (1 + BETA * loss), abs=1e-4)
        assert row["instructions"] == rewards.shape[1]
        assert row["available"] == len({*expected.rewards[teacher]} & {*expected.losses[base, teacher]})


@pytest.mark.parametrize("base", BASES)
def test_ranks_follow_car_with_the_best_first(expected, found, base):
    rewards, losses = common_rows(expected, base)
    cars = dict(zip(GRADED, rewards.mean(1) / (1 + BETA * losses.mean(1)), strict=True))
    best_first = sorted(GRADED, key=lambda teacher: -cars[teacher])
    assert [found.table[base, teacher]["rank"] for teacher in best_first] == [1, 2, 3]


@pytest.mark.parametrize("base", BASES)
def test_the_interval_is_that_of_a_plain_bootstrap_over_instructions(expected, found, base):
    rewards, losses = common_rows(expected, base)
    drawn = np.random.default_rng(7).integers(0, rewards.shape[1], size=(20_000, rewards.shape[1]))
    for number, teacher in enumerate(GRADED):
        cars = rewards[number][drawn].mean(1) / (1 + BETA * losses[number][drawn].mean(1))
        low, high = np.percentile(cars, [2.5, 97.5])
        row = found.table[base, teacher]
        assert row["car_low"] == pytest.approx(low, abs=0.1 * (high - low))
        assert row["car_high"] == pytest.approx(high, abs=0.1 * (high - low))


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("teacher", TEACHERS)
def test_the_share_of_tokens_scored_counts_every_response(expected, found, base, teacher):
    share = found.table[base, teacher]["tokens_scored"]
    assert share == pytest.approx(expected.shares[base, teacher], abs=1e-4)


@pytest.mark.parametrize("base", BASES)
def test_what_is_missing_is_counted_by_name_and_never_zero(expected, found, base):
    assert len(found.table) == len(BASES) * len(TEACHERS)
    for teacher in TEACHERS:
        row, answered = found.table[base, teacher], expected.answered[teacher]
        assert (row["expected"], row["without_response"]) == (LIMIT, LIMIT - answered)
        assert row["without_reward"] == answered - len(expected.rewards[teacher])
        assert row["without_loss"] == answered - len(expected.losses[base, teacher])
        assert (row["missing"] is None) == (teacher in GRADED)
    ungraded = found.table[base, "llama-13b"]
    assert ungraded["missing"] == "no rewards from gpt-4-grade"
    values = ("rank", "car", "car_low", "car_high", "mean_reward", "mean_loss")
    assert [ungraded[name] for name in values] == [None] * len(values)
    assert (ungraded["instructions"], ungraded["available"]) == (0, 0)
