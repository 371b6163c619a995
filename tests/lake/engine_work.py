"""Runs the row steps with real engines in one process, and keeps a journal of what the engines did."""

import os
from dataclasses import dataclass

import polars as pl
import torch

from preceptor.compute.generation import BATCHES_SORTED_TOGETHER, TransformersGenerator
from preceptor.compute.loss import LossScorer
from preceptor.compute.request import Decoding
from preceptor.compute.reward import RewardScorer
from preceptor.lake import staging
from preceptor.lake.schemas import BASE_LOSSES, RESPONSES, REWARDS
from preceptor.lake.store import Lake
from preceptor.losses.score import loss_fingerprint, score_losses
from preceptor.responses.generate import generate_responses, generation_fingerprint
from preceptor.rewards.score import reward_fingerprint, score_rewards
from preceptor.study.reward_models import ClassifierRewardModel
from preceptor.study.schema import Base
from preceptor.study.teachers import TransformersTeacher
from preceptor.text import digest

STUDY = "killed"
ROWS = 30
TOO_LONG = (7, 23)  # instructions that are too long for the teacher
PROMPTS_PER_BATCH = 2
TOKENS_PER_BATCH, FEWEST_TOKENS = 280, 70  # at most 4 rows
TABLES = {table.name: table for table in (RESPONSES, REWARDS, BASE_LOSSES)}
PASSES = {
    "responses": 1,
    "rewards": 1,
    "base_losses": 2,
}  # forward passes per row; losses have an unconditional pass too
# Rows that an engine may hold before it yields them. Here each yielded row is committed at once.
IN_FLIGHT = {
    "responses": BATCHES_SORTED_TOGETHER * PROMPTS_PER_BATCH,
    "rewards": TOKENS_PER_BATCH // FEWEST_TOKENS,
    "base_losses": TOKENS_PER_BATCH // FEWEST_TOKENS,
}


@dataclass(frozen=True)
class Models:
    """The teacher, the reward model and the base."""

    teacher: TransformersTeacher
    reward_model: ClassifierRewardModel
    base: Base

    def fingerprints(self):
        return {
            "responses": generation_fingerprint(self.teacher),
            "rewards": reward_fingerprint(self.reward_model),
            "base_losses": loss_fingerprint(self.base),
        }


def instructions():
    """Questions of different lengths."""
    texts = [f"Question {n}: what is {n} and{' very' * (n % 5)} much more?" for n in range(ROWS)]
    for n in TOO_LONG:
        texts[n] *= 10
    rows = [
        {"instruction_id": f"i{n:02}", "prompt_hash": digest(text), "system": None, "turns": [text]}
        for n, text in enumerate(texts)
    ]
    return pl.DataFrame(rows, schema_overrides={"system": pl.String})


class Watched:
    """An engine that records the rows requested from it and the rows of each forward pass."""

    def __init__(self, engine, table, journal):
        self.engine, self.table = engine, table.name
        self.journal = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.names = {tuple(row["turns"]): row["instruction_id"] for row in instructions().to_dicts()}
        engine.model.get_input_embeddings().register_forward_pre_hook(self._pass)

    def stream(self, asked):
        self._write("asked", *(self.names[one.user] for one in asked))
        return self.engine.stream(asked)

    @property
    def facts(self):
        return self.engine.facts

    def close(self):
        self.engine.close()

    def _pass(self, embeddings, inputs):
        rows, tokens = inputs[0].shape
        if tokens > 1:  # one token is a decoding step
            self._write("passed", str(rows))

    def _write(self, *words):
        os.write(self.journal, f"{self.table} {' '.join(words)}\n".encode())


def read_journal(journal):
    """Per table, the rows requested from its engine, and the number of rows that its model computed."""
    asked, done = dict.fromkeys(TABLES), dict.fromkeys(TABLES, 0.0)
    lines = journal.read_text().split("\n")[:-1] if journal.exists() else []  # a kill may cut the last line
    for line in lines:
        table, what, *words = line.split()
        if what == "asked":
            assert asked[table] is None, "the engine was asked twice"
            asked[table] = words
        else:
            done[table] += int(words[0]) / PASSES[table]
    return asked, done


def run_chain(models, root, journal):
    """Compute responses, rewards and losses in a store. Runs in a separate process."""
    torch.set_num_threads(1)
    staging.SECONDS_PER_COMMIT = 0.0  # commit each row at once, so that kills hit commits
    lake, questions, name = Lake(root, STUDY), instructions(), models.teacher.name

    def generator(teacher):
        decoding = Decoding(**teacher.sampling.model_dump(exclude={"n", "seed"}))
        engine = TransformersGenerator(
            teacher.model, decoding=decoding, device="cpu", batch_size=PROMPTS_PER_BATCH
        )
        return Watched(engine, RESPONSES, journal)

    def classifier(model):
        engine = RewardScorer(model.model, device="cpu", tokens_per_batch=TOKENS_PER_BATCH)
        return Watched(engine, REWARDS, journal)

    def base(model):
        settings = model.model_dump(include={"model", "max_length"})
        engine = LossScorer(**settings, device="cpu", tokens_per_batch=TOKENS_PER_BATCH)
        return Watched(engine, BASE_LOSSES, journal)

    responses = generate_responses(lake, models.teacher, questions, generator).rows
    score_rewards(lake, models.reward_model, name, responses, questions, classifier)
    score_losses(lake, models.base, name, responses, questions, base)
