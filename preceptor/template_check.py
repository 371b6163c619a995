"""Chat templates that lie in folders here, tried on the study's kinds of conversation before it runs."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from preceptor.compute.conversation import (
    SHAPES,
    ChatTemplate,
    Conversation,
    TemplateProblem,
    render,
    render_prompt,
    render_text,
    sample,
    template_of,
)
from preceptor.study.evaluation import Pairwise
from preceptor.study.fields import Model
from preceptor.study.schema import Study

Try = Callable[[Any, ChatTemplate, Conversation], object]
Shape = tuple[bool, int]  # whether there is a system prompt, and how many user turns


def template_problems(study: Study) -> Iterator[tuple[str, str]]:
    """Where a model stands whose template cannot be used, or loses too many of the instructions, and why.

    Up to `limits.failed_rows` of them are left to be errors of their rows.
    """
    shapes: Counter[Shape] | None = None
    for place, part, attempt in _parts(study):
        if not Path(part.model).is_dir() or part.prompt_format != "own":
            continue
        failing, problem = _tried(part, attempt)
        if problem is None and failing and not place.startswith("evaluations"):
            shapes = _shapes(study) if shapes is None else shapes
            problem = _too_many(failing, shapes, study.limits.failed_rows)
        if problem is not None:
            yield place, problem


def _parts(study: Study) -> Iterator[tuple[str, Any, Try]]:
    """Where a model stands in the study, the model, and how its template is used."""
    for teacher in study.teachers:
        if isinstance(teacher, Model):
            yield f"teachers.{teacher.name}", teacher, _asked
    for base in study.bases:
        yield f"bases.{base.name}", base, render
    for model in study.reward_models:
        if isinstance(model, Model):
            yield f"reward_models.{model.name}", model, render_text
    for evaluation in study.evaluations:
        if isinstance(evaluation, Pairwise) and isinstance(evaluation.judge, Model):
            yield f"evaluations.{evaluation.name}.judge", evaluation.judge, render_text


def _asked(tokenizer: Any, template: ChatTemplate, conversation: Conversation) -> str:
    earlier = conversation.assistant[:-1]
    return render_prompt(tokenizer, template, Conversation(conversation.system, conversation.user, earlier))


def _tried(part: Any, attempt: Try) -> tuple[dict[Shape, str], str | None]:
    """Which shapes of conversation a template cannot do and why, and what keeps it from doing any."""
    from preceptor.compute.load import ModelError, load_tokenizer

    try:
        tokenizer = load_tokenizer(part.model, part.revision)
        template = template_of(tokenizer, part.prompt_format, part.prompt_date)
    except ModelError:  # whoever looks at the models says so
        return {}, None
    except TemplateProblem as problem:
        return {}, str(problem)
    failing = {}
    for shape in SHAPES:
        try:
            attempt(tokenizer, template, sample(*shape))
        except TemplateProblem as problem:
            failing[shape] = str(problem)
    return failing, failing[SHAPES[0]] if len(failing) == len(SHAPES) else None


def _too_many(failing: dict[Shape, str], shapes: Counter[Shape], bound: float) -> str | None:
    lost = {shape: number for shape, number in shapes.items() if shape in failing}
    if sum(lost.values()) <= bound * shapes.total():
        return None
    most = max(lost, key=lambda shape: lost[shape])
    return (
        f"{failing[most]} ({sum(lost.values()):,} of {shapes.total():,} instructions would be lost;"
        f" 'limits.failed_rows' allows {bound:g})"
    )


def _shapes(study: Study) -> Counter[Shape]:
    """How many instructions of the study's own files have which shape; none where they cannot be read."""
    from preceptor.instructions.account import NoInstructionsError
    from preceptor.instructions.collect import collect_instructions
    from preceptor.records import RecordsError

    here = tuple(source for source in study.instructions.sources if source.path is not None)
    if not here:
        return Counter()
    asked = study.instructions.model_copy(update={"sources": here, "near_duplicate_threshold": None})
    try:
        rows, _ = collect_instructions(asked)
    except (NoInstructionsError, RecordsError):
        return Counter()
    found = rows.select(
        pl.col("system").is_not_null(), pl.col("turns").list.len().clip(upper_bound=SHAPES[-1][1])
    )
    return Counter((bool(system), int(turns)) for system, turns in found.iter_rows())
