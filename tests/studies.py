"""A whole small study on disk: two recorded teachers, one that generates, a classifier, scores, two bases."""

import csv
import json
from pathlib import Path

import yaml

from tests.conftest import CHATML, save_classifier, save_language_model

QUESTIONS = [
    "Name three rivers of Europe.",
    "What is two plus two?",
    "Write a line about rain.",
    "Why is the sky blue?",
    "Translate 'house' into French.",
    "Who wrote Hamlet?",
    "List the primes below ten.",
    "Say hello in Italian.",
    "How many legs has a spider?",
    "Describe the sea in five words.",
    "What comes after Tuesday?",
    "Spell the word rhythm.",
]


def write_study(folder: Path, name: str = "small") -> Path:
    """Write data, models and the YAML file; return its path."""
    lines(
        folder / "questions.jsonl", [{"question_id": str(i), "turns": [q]} for i, q in enumerate(QUESTIONS)]
    )
    brief = [{"instruction": q, "response": f"{q[:6]}: yes."} for q in QUESTIONS]
    lines(folder / "brief.jsonl", brief)
    chatty = [
        {"question_id": str(i), "choices": [{"turns": [f"Well. {q} " * 2]}]} for i, q in enumerate(QUESTIONS)
    ]
    lines(folder / "chatty.jsonl", chatty)
    with (folder / "scores.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["question_id", "model", "score"])
        for i in range(len(QUESTIONS)):
            writer.writerows([[i, "brief", 5 + i % 3], [i, "the-chatty-one", 7 - i % 2], [i, "stranger", 9]])
    save_language_model(folder / "base-a", context=96, seed=3)
    save_language_model(folder / "base-b", context=128, seed=4, bos=False)
    save_language_model(folder / "teacher", seed=5, template=CHATML)
    save_classifier(folder / "classifier", context=256, template=CHATML)
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(document(name), sort_keys=False))
    return path


def document(name: str) -> dict:
    """The study itself, as YAML would read it."""
    return {
        "name": name,
        "instructions": {"sources": [{"name": "questions", "path": "questions.jsonl", "format": "fastchat"}]},
        "teachers": [
            {"name": "brief", "engine": "recorded", "path": "brief.jsonl"},
            {"name": "chatty", "engine": "recorded", "path": "chatty.jsonl", "format": "fastchat"},
            {
                "name": "tiny",
                "engine": "transformers",
                "model": "./teacher",
                "sampling": {"temperature": 1.0, "n": 2, "max_new_tokens": 8},
            },
        ],
        "bases": [
            {"name": "base-a", "model": "./base-a"},
            {"name": "base-b", "model": "./base-b", "prompt_format": "plain"},
        ],
        "reward_models": [
            {
                "name": "scores",
                "engine": "recorded",
                "path": "scores.csv",
                "teachers": {"chatty": "the-chatty-one"},
            },
            {"name": "classifier", "engine": "sequence_classification", "model": "./classifier"},
        ],
        "car": {"reward_model": "classifier", "reward_map": {"kind": "sigmoid"}, "resamples": 200},
        "recipes": [
            {"kind": "best_teacher", "name": "best-for-a", "base": "base-a"},
            {"kind": "random", "name": "random-4", "rows": 4},
            {
                "kind": "top_k",
                "name": "likely-4",
                "column": "mean_nll",
                "order": "lowest",
                "rows": 4,
                "base": "base-a",
            },
            {"kind": "best_of_n", "name": "best-of-2", "teacher": "tiny"},
        ],
    }


def one_base(name: str) -> dict:
    """The study with its first base alone and nothing selected: half the steps, for what needs no more."""
    study = document(name)
    return study | {"bases": study["bases"][:1], "recipes": []}


def with_runs(study: dict) -> dict:
    """The study with two runs, tuned on one teacher each, and a benchmark of each kind."""
    study["recipes"] += [{"kind": "teacher", "name": f"of-{t}", "teacher": t} for t in ("brief", "chatty")]
    study["tunings"] = [{"name": "quick", "epochs": 2, "learning_rate": 1e-3, "batch_size": 4}]
    study["runs"] = [
        {"name": f"a-{t}", "base": "base-a", "recipe": f"of-{t}", "tuning": "quick"}
        for t in ("brief", "chatty")
    ]
    sampling = {"max_new_tokens": 6}
    judge = {"name": "classifier", "engine": "sequence_classification", "model": "./classifier"}
    study["evaluations"] = [
        {"name": "sums", "kind": "checkers", "path": "sums.jsonl", "sampling": sampling},
        {
            "name": "duels",
            "kind": "pairwise",
            "path": "reference.jsonl",
            "judge": judge,
            "sampling": sampling,
        },
    ]
    return study


def write_benchmarks(folder: Path) -> None:
    """Six sums with their answers, and a reference's responses to them."""
    sums = [(f"What is {a} plus {a + 1}?", str(2 * a + 1)) for a in range(6)]
    checked = [{"instruction": q, "answer": a, "check": "number"} for q, a in sums]
    lines(folder / "sums.jsonl", checked)
    answered = [{"instruction": q, "output": f"It is {a}." + " Yes." * i} for i, (q, a) in enumerate(sums)]
    lines(folder / "reference.jsonl", answered)


def lines(path: Path, rows: list[dict]) -> None:
    """Write rows as JSONL."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
