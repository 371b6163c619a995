"""A run of a study with hostile texts and with endpoints that repeat their API keys in every encoding."""

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

from tests.conftest import CHATML, save_classifier, save_language_model
from tests.endpoint.faulty_server import FaultyServer, Play, answer, question, refusal
from tests.endpoint.test_encodings import ENCODINGS
from tests.studies import QUESTIONS, document, lines, write_study

CHECKOUT = Path(__file__).parents[2]
SECRETS = {
    "OPENAI_API_KEY": "sk-Planted/Teacher+Key-1f2e3d4c==",
    "JUDGE_API_KEY": "sk-Planted/Judge+Key-5a6b7c8d&",
    "AWS_SECRET_ACCESS_KEY": "PlantedAwsSecret0123456789",
    "HF_TOKEN": "hf_PlantedHubToken987654",
    "PRECEPTOR_WEBHOOK": "http://127.0.0.1:9/hooks/PlantedWebhookPath42",
}
HOSTILE = (
    "a'; DROP TABLE responses; -- \" | `id` $HOME ../../../outside\r\n<script>alert('x')</script>"
    "<img src=x onerror=alert(1)> [link](javascript:alert(1)) {{7*7}} {% raw %} \x00\x1b[2J\u202eleft\u2028"
)
QUOTED = 'it\'s; a "name" -- <b>bold</b> | ../up'  # for names of columns, ids and models


def hostile_study(folder: Path, url: str) -> Path:
    """The small study with hostile text in every free field of the study and of its rows."""
    write_study(folder)
    for name in ("base-a", "teacher"):
        save_language_model(folder / name, context=2048, template=CHATML)
    save_classifier(folder / "classifier", context=2048, template=CHATML)
    asked = [f"{q} {HOSTILE} {'long ' * (2000 if n == 3 else 1)}" for n, q in enumerate(QUESTIONS)]
    rows = [{QUOTED: q, "the id": f"{n} {QUOTED}"} for n, q in enumerate(asked)]
    lines(folder / "questions.jsonl", rows)
    said = [{"instruction": q, "response": f"{n}: {HOSTILE}"} for n, q in enumerate(asked)]
    lines(folder / "brief.jsonl", [*said, {"instruction": HOSTILE, "response": "nobody asked"}, {HOSTILE: 1}])
    chatty = [
        {"question_id": f"{n} {QUOTED}", "choices": [{"turns": [HOSTILE * 2]}]} for n in range(len(asked))
    ]
    lines(folder / "chatty.jsonl", chatty)
    scores = [{"question_id": f"{n} {QUOTED}", "model": QUOTED, "score": n + 1} for n in range(len(asked))]
    lines(
        folder / "scores.jsonl", [*scores, {"question_id": f"0 {QUOTED}", "model": HOSTILE, "score": HOSTILE}]
    )
    study = document("small") | {"description": HOSTILE * 3}
    study["instructions"]["sources"][0] |= {
        "format": "plain",
        "columns": {"instruction": QUOTED, "id": "the id"},
    }
    for teacher in study["teachers"]:
        teacher |= {"family": HOSTILE, "terms": HOSTILE, "gpu": HOSTILE}
    endpoint = {"base_url": url, "engine": "openai", "model": QUOTED, "served_as": HOSTILE, "attempts": 2}
    study["limits"] = {"failed_rows": 1.0, "missing_rows": 1.0, "lost_rows": 1.0, "tokens_scored": 0.0}
    study["bases"].pop()
    study["teachers"].append(
        {"name": "remote", "terms": HOSTILE, "sampling": {"max_new_tokens": 9}} | endpoint
    )
    study["reward_models"][0] |= {"path": "scores.jsonl", "teachers": {"chatty": QUOTED, "brief": HOSTILE}}
    judge = {"name": "judge", "api_key_variable": "JUDGE_API_KEY", "rubric": HOSTILE}
    study["reward_models"].append(judge | endpoint)
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(study))
    return path


def repeating(body: dict, attempt: int) -> Play:
    """Answer most requests; repeat the key in every kind of failure."""
    text = question(body)
    judged = " BEGINS" in text
    key = SECRETS["JUDGE_API_KEY" if judged else "OPENAI_API_KEY"]
    headers = {"x-key": key, "www-authenticate": f"Bearer {key}"}
    keys = " ".join(encode(key) for encode in ENCODINGS.values())
    if "primes" in text:
        return refusal(400, f"the key {keys} may not ask this", headers)
    if "spider" in text:
        return refusal(500, f"crash with {keys}", headers)
    if "Tuesday" in text:
        return Play(body=f"not json {keys}".encode(), headers=headers)
    if "Italian" in text:
        detail = [{"loc": ["body", keys], "input": {keys: key}}]
        return Play(422, json.dumps({"detail": detail}).encode(), headers)
    if "sea" in text:
        return refusal(400, headers={"content-encoding": keys[:40]})
    if "rhythm" in text:
        return answer(None, refusal=f"I refuse {keys}")
    if judged:
        return answer(json.dumps({"reasoning": HOSTILE, "score": 7})) if "rain" not in text else answer(keys)
    some = [encode(key) for encode in list(ENCODINGS.values())[len(text) % 9 :: 9]]
    return answer(f"{HOSTILE} done {' '.join(some)}")


def run_study(folder: Path, study: Path, **settings: str) -> subprocess.CompletedProcess:
    environment = (
        os.environ
        | SECRETS
        | {
            "PRECEPTOR_STORE": str(folder / "store"),
            "DAGSTER_HOME": str(folder / "dagster"),
            "OMP_NUM_THREADS": "1",
        }
    )
    command = [sys.executable, "-m", "jobs.run_study", str(study)]
    return subprocess.run(
        command, cwd=CHECKOUT, env=environment | settings, text=True, capture_output=True, timeout=900
    )


def run_against_repeating_server(folder: Path) -> subprocess.CompletedProcess:
    with FaultyServer(repeating) as server:
        return run_study(folder, hostile_study(folder, server.url))
