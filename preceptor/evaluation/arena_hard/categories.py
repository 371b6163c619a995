"""Arena-Hard's fixed settings by category, and which categories are scored together.

v0.1 has one category and one baseline. v2.0 has a baseline and a judge's prompt per category, and scores each
category by itself (lmarena/arena-hard-auto: utils/judge_utils.py, show_result.py).
"""

from collections.abc import Iterable

from preceptor.evaluation.arena_hard import Version

OWN_BASELINE = "creative_writing"  # v2.0's category with its own baseline and prompt
HEADLINE = "hard_prompt"  # the category that v2.0's show_result.py prints unless told otherwise
BASELINES = {"v0.1": "gpt-4-0314", "v2.0": "o3-mini-2025-01-31"}
CREATIVE_BASELINE = "gemini-2.0-flash-001"


def authors_baseline(version: Version, category: str) -> str:
    """The model that the authors use as a category's baseline."""
    return CREATIVE_BASELINE if (version, category) == ("v2.0", OWN_BASELINE) else BASELINES[version]


def pooled(version: Version, categories: Iterable[str]) -> bool:
    """Whether all questions make one number. v0.1 ignores categories; v2.0 scores each by itself."""
    return version == "v0.1" or len(set(categories)) == 1


def main_category(categories: Iterable[str]) -> str:
    """The main one of the categories with scores, "" for all questions together."""
    there = sorted(set(categories))
    if not there or "" in there:
        return ""
    return HEADLINE if HEADLINE in there else there[0]
