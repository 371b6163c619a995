"""Arena-Hard's style features: the length and Markdown of an answer, and differences between two answers.

Features are (battles, 4), in the order of FEATURES. Each changes its sign when the answers are swapped.
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preceptor.evaluation.arena_hard import Version

Floats = NDArray[np.float64]
FEATURES = ("tokens", "headers", "lists", "bold")
FENCED = re.compile(r"```([^`]*)```")
HEADER = re.compile(r"^#{1,6}\s", re.MULTILINE)
LISTS = (re.compile(r"^\s*\d+\.\s", re.MULTILINE), re.compile(r"^\s*[-*+]\s", re.MULTILINE))
BOLD = (re.compile(r"\*\*[^*\n]+\*\*"), re.compile(r"__[^_\n]+__"))


@dataclass(frozen=True)
class Style:
    """An answer's tokens (tiktoken's for gpt-4o) and its counts of headers, list items and bold spans."""

    tokens: int
    headers: int
    lists: int
    bold: int


def style_of(text: str, tokens: int | None) -> Style:
    """Count Markdown outside code fences, as add_markdown_info.py of lmarena/arena-hard-auto does.

    The text inside a fence is removed wherever the answer repeats it, and the fence's own marks stay. Only
    then do counts equal those that the authors publish. Raises ValueError if `tokens` is not a count.
    """
    if tokens is None or tokens < 0:
        raise ValueError(f"an answer's style needs its number of tokens, not {tokens}: count them first")
    for code in FENCED.findall(text):
        text = text.replace(code, "")
    return Style(
        tokens,
        headers=len(HEADER.findall(text)),
        lists=sum(len(pattern.findall(text)) for pattern in LISTS),
        bold=sum(len(pattern.findall(text)) for pattern in BOLD),
    )


def style_features_v0(model: Floats, baseline: Floats) -> Floats:
    """v0.1: (m - b) / (m + b + 1) of each count (utils_math.py@561534a)."""
    features: Floats = (model - baseline) / (model + baseline + 1)
    return features


def style_features_v2(model: Floats, baseline: Floats) -> Floats:
    """v2.0: (m - b) / (m + b) of tokens, (m - b) / (m + b + 1) of Markdown per (token + 1).

    As in the released show_result.py; the version at 005ac12, before the release, had Markdown per token. For
    two answers without tokens, the authors' formula gives no number; here their difference in length is 0.
    """
    length, other_length = model[:, :1], baseline[:, :1]
    density, other_density = model[:, 1:] / (length + 1), baseline[:, 1:] / (other_length + 1)
    by_length = _ratio(length - other_length, length + other_length)
    return np.hstack([by_length, (density - other_density) / (density + other_density + 1)])


def style_features(version: Version, model: Floats, baseline: Floats) -> Floats:
    """The version's features. Raises ValueError for counts that are negative or not finite."""
    counts = np.concatenate([model, baseline])
    if not (np.isfinite(counts) & (counts >= 0)).all():
        raise ValueError("style counts must be 0 or more and finite: correct the answers' tokens and counts")
    return style_features_v0(model, baseline) if version == "v0.1" else style_features_v2(model, baseline)


def standardised(version: Version, features: Floats, weight: Floats) -> Floats:
    """(f - mean) / standard deviation over all battles. A row counts as `weight` battles.

    v0.1 divides squares by n, v2.0 by n - 1. Features must vary.
    """
    battles = weight.sum()
    centred = features - weight @ features / battles
    variance = weight @ centred**2 / (battles if version == "v0.1" else battles - 1)
    scaled: Floats = centred / np.sqrt(variance)
    return scaled


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
