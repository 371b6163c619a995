"""Make the reward model and the judge: classifiers that learn from teachers' real answers which are right.

Trained on made-up mistakes they are near chance on the mistakes that models really make.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preceptor.compute.conversation import ChatTemplate, Conversation, render
from preceptor.compute.request import Decoding, Request
from preceptor.evaluation.checkers import CHECKS
from studies.demo.zoo.language_models import make_talker, save
from studies.demo.zoo.models import Grader
from studies.demo.zoo.splits import distinct_tasks
from studies.demo.zoo.tasks import Task
from studies.demo.zoo.train import Row, right_or_wrong_loss, shuffled_batches, train

QUESTIONS = 900
TEMPERATURES = (0.0, 1.0)
ANSWERS_AT_ONCE = 128
ANSWER_TOKENS = 80


@dataclass(frozen=True)
class Graded:
    """A real answer to a task, and whether the task's checker takes it."""

    task: Task
    response: str
    right: bool


def make_grader(grader: Grader, teachers: list[Path], folder: Path, questions: int = QUESTIONS) -> None:
    """Train the classifier on all teachers' answers to questions of its own from the making set; save it."""
    start, tokenizer = make_talker(grader.start, folder)
    asked = distinct_tasks("making", grader.seed, questions)
    graded = [answer for teacher in teachers for answer in graded_answers(teacher, asked, grader.seed)]
    model = _classifier(grader, start)
    rows = [_row(tokenizer, answer) for answer in graded]
    train(model, shuffled_batches(rows, grader.seed), grader.steps, right_or_wrong_loss)
    save(model, tokenizer, folder)
    (folder / "generation_config.json").unlink()  # of the talker that it started from


def graded_answers(teacher: Path, asked: list[Task], seed: int) -> list[Graded]:
    """A model's greedy and sampled answers, checked."""
    from preceptor.compute.generation import TransformersGenerator

    graded = []
    for temperature in TEMPERATURES:
        decoding = Decoding(temperature=temperature, max_new_tokens=ANSWER_TOKENS)
        generator = TransformersGenerator(
            str(teacher), decoding=decoding, device="cpu", batch_size=ANSWERS_AT_ONCE
        )
        requests = [Request(None, (task.instruction,), seed * 1_000_000 + n) for n, task in enumerate(asked)]
        for task, answer in zip(asked, generator.generate(requests), strict=True):
            response = answer.turns[0]
            graded.append(Graded(task, response, CHECKS[task.check](response, task.right)))
    return graded


def _classifier(grader: Grader, start: Any) -> Any:
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.manual_seed(grader.seed)
    config = type(start.config)(**{**start.config.to_dict(), "num_labels": 1})
    model = AutoModelForSequenceClassification.from_config(config)
    model.model.load_state_dict(start.model.state_dict())
    model.name_or_path = grader.name
    return model


def _row(tokenizer: Any, answer: Graded) -> Row:
    conversation = Conversation(None, (answer.task.instruction,), (answer.response,))
    text = render(tokenizer, ChatTemplate(tokenizer.chat_template), conversation).text
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids, [float(answer.right)] * len(ids)
