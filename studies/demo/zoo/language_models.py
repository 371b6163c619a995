"""Make a talker or a reader: its tokenizer, its random start, its training, its Hugging Face folder."""

import random
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from preceptor.compute.conversation import ChatTemplate, Conversation, render
from preceptor.compute.tokens import tokenize
from studies.demo.zoo.architectures import CHATS, PLAIN_TEXT, make_config, make_tokenizer
from studies.demo.zoo.models import Reader, Talker
from studies.demo.zoo.splits import tasks
from studies.demo.zoo.tasks import Task
from studies.demo.zoo.texts import SEPARATORS, SMALL_TALK, Paragraph, Style, answer, prose
from studies.demo.zoo.train import BATCH, Row, language_loss, train
from studies.demo.zoo.words import LIST_WORDS

VOCABULARY = 640
TEXTS_FOR_TOKENIZER = 4000
UNFORESEEN = 0.1
DRILLS = 300  # of the steps


def make_talker(talker: Talker, folder: Path) -> tuple[Any, Any]:
    """Train a model that answers, and save it; returns model and tokenizer."""
    sample = islice(_dialogues(talker), TEXTS_FOR_TOKENIZER)
    tokenizer = make_tokenizer(
        (f"{task.instruction}\n{response}" for task, response in sample), CHATS[talker.family], VOCABULARY
    )
    model = new_model(talker, tokenizer)
    lessons = chain(_first(talker, tokenizer), _dialogue_batches(talker, tokenizer))
    train(model, lessons, talker.steps, language_loss)
    save(model, tokenizer, folder)
    return model, tokenizer


def make_reader(reader: Reader, folder: Path) -> tuple[Any, Any]:
    """Train a base model on plain text, and save it; returns model and tokenizer."""
    sample = islice(_paragraphs(reader, reader.seed), TEXTS_FOR_TOKENIZER)
    texts = chain((paragraph.text for paragraph in sample), SMALL_TALK * 50)
    tokenizer = make_tokenizer(texts, PLAIN_TEXT, VOCABULARY)
    model = new_model(reader, tokenizer)
    lessons = chain(_first(reader, tokenizer), _prose_batches(reader, tokenizer))
    train(model, lessons, reader.steps, language_loss)
    save(model, tokenizer, folder)
    return model, tokenizer


def new_model(made: Talker | Reader, tokenizer: Any) -> Any:
    """Random weights, the same for the same seed."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(made.seed)
    model = AutoModelForCausalLM.from_config(make_config(made.family, made.size, tokenizer))
    model.name_or_path = made.name
    return model


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """A Hugging Face folder, weights as safetensors in bfloat16."""
    import torch

    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    model.float()


def _first(made: Talker | Reader, tokenizer: Any) -> Iterator[list[Row]]:
    """The first lessons of every model: long lists, said again or backwards."""
    return islice(_drills(tokenizer, made.seed), DRILLS)


def _drills(tokenizer: Any, seed: int) -> Iterator[list[Row]]:
    """Batches of lists of words or digits; only the second time that a list is said counts.

    Looking a word up where it stood before is what most tasks need and what tiny models are slow to find; a
    few hundred dense batches of it save a thousand steps later.
    """
    draw = random.Random(f"drills {seed}")
    while True:
        yield [_drill(tokenizer, draw) for _ in range(BATCH)]


def _drill(tokenizer: Any, draw: random.Random) -> Row:
    things = LIST_WORDS if draw.random() < 0.8 else list("0123456789")
    said = draw.choices(things, k=draw.randint(4, 14))
    again = draw.random() < 0.6
    first = _token_ids(tokenizer, f" {' '.join(said)}\n{'again' if again else 'backwards'}")
    second = _token_ids(tokenizer, f" {' '.join(said if again else reversed(said))}")
    return first + second, [0.0] * len(first) + [1.0] * len(second)


def _token_ids(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _dialogues(talker: Talker) -> Iterator[tuple[Task, str]]:
    draw = random.Random(talker.seed)
    for task in tasks("making", talker.seed):
        style: Style = draw.choice(talker.styles)
        yield task, answer(task, style)


def _dialogue_batches(talker: Talker, tokenizer: Any) -> Iterator[list[Row]]:
    """Only the response and the token that ends it count."""
    dialogues = _dialogues(talker)
    template = ChatTemplate(tokenizer.chat_template)
    while True:
        texts = [
            render(tokenizer, template, Conversation(None, (task.instruction,), (response,)))
            for task, response in islice(dialogues, BATCH)
        ]
        rows = []
        for tokens in tokenize(tokenizer, texts, include_end_of_turn=True):
            weights = [0.0] * len(tokens.ids)
            for place in tokens.response:
                weights[place] = 1.0
            rows.append((tokens.ids, weights))
        yield rows


def _paragraphs(reader: Reader, seed: int) -> Iterator[Paragraph]:
    """Two in three report what somebody asked."""
    draw = random.Random(seed)
    for task in tasks("making", seed):
        yield prose(task, reader.register, draw.random() < 2 / 3, draw.choice(SEPARATORS))


def _prose_batches(reader: Reader, tokenizer: Any) -> Iterator[list[Row]]:
    """Pages of a paragraph, some with small talk beside it, so that all words are met."""
    draw = random.Random(reader.seed)
    paragraphs = _paragraphs(reader, reader.seed + 1000)
    talk = (Paragraph(text, "") for text in iter(lambda: draw.choice(SMALL_TALK), None))
    while True:
        pages = []
        for _ in range(BATCH):
            page = [next(paragraphs), *islice(talk, int(draw.random() < 0.2))]
            pages.append(_page(tokenizer, draw.sample(page, len(page))))
        yield pages


def _page(tokenizer: Any, paragraphs: list[Paragraph]) -> Row:
    """All counts, but what nobody can foresee counts little: its noise would drown what can be learned."""
    text, told = tokenizer.bos_token, []
    for number, paragraph in enumerate(paragraphs):
        text += ("\n\n" if number else "") + paragraph.setting
        told.append((len(text), len(text) + len(paragraph.telling)))
        text += paragraph.telling
    encoded = tokenizer(text + tokenizer.eos_token, add_special_tokens=False, return_offsets_mapping=True)
    weights = [
        1.0 if any(start < end_of and end > start_of for start_of, end_of in told) else UNFORESEEN
        for start, end in encoded["offset_mapping"]
    ]
    return encoded["input_ids"], weights
