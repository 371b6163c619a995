"""The grade in what a judge said."""

import json
import re
from typing import Any

from preceptor.endpoint.rubric import HIGHEST, LOWEST

THOUGHT = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)


def read_grade(text: str) -> int | None:
    """The whole number from 1 to 10 under `score`, or None where there is none or more than one.

    7, 7.0 and "7" are grades; 7.5, "7/10", true and what is out of range are not. JSON may stand in prose.
    """
    grades = {_grade(found["score"]) for found in json_objects(without_thought(text)) if "score" in found}
    return grades.pop() if len(grades) == 1 else None


def without_thought(text: str) -> str:
    """What a model that thinks aloud says after its thought."""
    return THOUGHT.sub("", text)


def _grade(score: object) -> int | None:
    if isinstance(score, str) and re.fullmatch(r"\s*[0-9]{1,2}\s*", score):
        score = int(score)
    if isinstance(score, bool) or not isinstance(score, int | float):
        return None
    return int(score) if score in range(LOWEST, HIGHEST + 1) else None


def json_objects(text: str) -> list[dict[str, Any]]:
    """The outermost JSON objects in a text."""
    decoder = json.JSONDecoder(strict=False)  # line breaks inside strings are common
    objects = []
    start = text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
            objects.append(value)
        except (ValueError, RecursionError):
            end = start + 1
        start = text.find("{", end)
    return objects
