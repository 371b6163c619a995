"""Real questions and answers (Arena-Hard v0.1), and random models with the shapes of Qwen2.5."""

import gzip
import json
import os
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, Qwen2Config

from preceptor.compute.conversation import Conversation

DATA = Path(os.environ.get("PRECEPTOR_DATA", "../shared/data"))
TOKENIZER = DATA.parent / "models" / "gpt2_tokenizer"
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LONG = 3000  # characters of a question
VOCABULARY = 151_936
# hidden, intermediate, layers, heads, key-value heads: config.json of Qwen2.5-0.5B, -1.5B and -3B
SHAPES = {
    "0.5B": (896, 4864, 24, 14, 2),
    "1.5B": (1536, 8960, 28, 12, 2),
    "3B": (2048, 11008, 36, 16, 2),
}


def conversations(rows: int, first: int = 0, answers_each: int = 1) -> list[Conversation]:
    """Rows in file order: each question with the answers of `answers_each` teachers, in rotation."""
    questions = {q["uid"]: q["prompt"] for q in _lines(DATA / "arena_hard" / "questions.jsonl.gz")}
    files = sorted((DATA / "arena_hard" / "answers").glob("*.jsonl.gz"))
    said = [{a["question_id"]: a["choices"][0]["turns"][0]["content"] for a in _lines(f)} for f in files]
    pairs = [(number, turn) for number in range(len(questions)) for turn in range(answers_each)]
    if answers_each == 1:  # all questions once, then again with the next teacher of each
        pairs = [(number, turn) for turn in range(len(said)) for number in range(len(questions))]
    asked = list(questions.items())
    if answers_each > 1:  # long questions first, since their answers share long prompts
        asked.sort(key=lambda question: -len(question[1]) if len(question[1]) <= LONG else 0)
    found = (
        Conversation(None, (asked[number][1],), (said[(number + turn) % len(said)][asked[number][0]],))
        for number, turn in pairs
        if asked[number][0] in said[(number + turn) % len(said)]
    )
    rows_found = list(islice(found, first, first + rows))
    assert len(rows_found) == rows, f"the recordings hold no rows {first} to {first + rows}"
    return rows_found


def random_model(folder: Path, shape: str, classifier: bool) -> Path:
    """A folder with a random model of this shape and GPT-2's tokenizer."""
    hidden, intermediate, layers, heads, kv_heads = SHAPES[shape]
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=32_768,
        tie_word_embeddings=True,
        num_labels=1,
    )
    torch.manual_seed(0)
    kind: Any = AutoModelForSequenceClassification if classifier else AutoModelForCausalLM
    kind.from_config(config).save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    return folder


def _lines(file: Path) -> list[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8", newline="\n") as text:
        return [json.loads(line) for line in text.read().split("\n") if line]
