"""Test chat templates in local folders on the study's kinds of conversation before it runs."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
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
from preceptor.records.layout import Conversation as Recorded
from preceptor.soundness import unless_sound
from preceptor.study.fields import Model
from preceptor.study.schema import Study
from preceptor.study.teachers import RecordedTeacher

Try = Callable[[Any, ChatTemplate, Conversation], object]
# Has a system prompt, number of user turns, answers have thoughts.
Shape = tuple[bool, int, bool]
KINDS: tuple[Shape, ...] = tuple((*shape, thought) for thought in (False, True) for shape in SHAPES)


SOUND: tuple[dict[Shape, str], str | None] = ({}, None)


def template_problems(study: Study) -> Iterator[tuple[str, str]]:
    """The place in the study, and the problem, of each template that is unusable or loses too many rows.

    A share of up to `limits.failed_rows` is accepted. These become errors of their rows.
    """
    counted = cache(lambda: _instructions(study)), cache(lambda: _recordings(study))
    for place, part, attempt in _parts(study):
        if not Path(part.model).is_dir() or part.prompt_format != "own":
            continue
        answers = place.startswith(("bases", "reward_models"))  # they read answers, which may have thoughts
        failing, problem = _tried(part, attempt, KINDS if answers else KINDS[: len(SHAPES)])
        if problem is None and failing and not place.startswith("evaluations"):
            rows = _rows(study, failing, *counted) if answers else {"instructions": counted[0]()}
            problem = _too_many(failing, rows, study.limits.failed_rows)
        if problem is not None:
            yield place, problem


def _parts(study: Study) -> Iterator[tuple[str, Any, Try]]:
    """Each model's place in the study, the model, and how its template is used."""
    for teacher in study.teachers:
        if isinstance(teacher, Model):
            yield f"teachers.{teacher.name}", teacher, _asked
    for base in study.bases:
        yield f"bases.{base.name}", base, render
    for model in study.reward_models:
        if isinstance(model, Model):
            yield f"reward_models.{model.name}", model, render_text
    for evaluation in study.evaluations:
        if (judge := evaluation.local_judge) is not None:
            yield f"evaluations.{evaluation.name}.judge", judge, render_text


def _asked(tokenizer: Any, template: ChatTemplate, conversation: Conversation) -> str:
    earlier = conversation.assistant[:-1]
    return render_prompt(tokenizer, template, Conversation(conversation.system, conversation.user, earlier))


def _tried(part: Any, attempt: Try, kinds: Sequence[Shape]) -> tuple[dict[Shape, str], str | None]:
    """The kinds of conversation that a template fails on, with reasons, and why it is unusable, if it is."""
    asked = ["template", part.model_dump(mode="json"), attempt.__name__, kinds]
    return unless_sound(asked, [part.model], lambda: _attempts(part, attempt, kinds), SOUND)


def _attempts(part: Any, attempt: Try, kinds: Sequence[Shape]) -> tuple[dict[Shape, str], str | None]:
    from preceptor.compute.load import ModelError, load_tokenizer

    try:
        tokenizer = load_tokenizer(part.model, part.revision)
        template = template_of(tokenizer, part.prompt_format, part.prompt_date)
    except ModelError:  # the check of models reports it
        return {}, None
    except TemplateProblem as problem:
        return {}, str(problem)
    failing = {}
    for kind in kinds:
        try:
            attempt(tokenizer, template, sample(*kind))
        except TemplateProblem as problem:
            failing[kind] = str(problem)
    return failing, failing[kinds[0]] if len(failing) == len(kinds) else None


def _rows(
    study: Study,
    failing: dict[Shape, str],
    instructions: Callable[[], Counter[Shape]],
    recordings: Callable[[], dict[str, Counter[Shape]]],
) -> dict[str, Counter[Shape]]:
    """The shapes that a base or reward model will see: answers as recorded, else without thoughts."""
    recorded = all(isinstance(teacher, RecordedTeacher) for teacher in study.teachers)
    asked: Counter[Shape] = Counter()
    for (system, turns, _), number in instructions().items():
        saved = recorded and (system, turns, True) not in failing  # recordings may have thoughts
        asked[system, turns, saved] += number
    by_thought = any((system, turns, not thought) not in failing for system, turns, thought in failing)
    return {"instructions": asked, **(recordings() if by_thought else {})}


def _too_many(failing: dict[Shape, str], rows: dict[str, Counter[Shape]], bound: float) -> str | None:
    for name, shapes in rows.items():
        lost = {shape: number for shape, number in shapes.items() if shape in failing}
        if sum(lost.values()) > bound * shapes.total():
            most = max(lost, key=lambda shape: lost[shape])
            return (
                f"{failing[most]} ({sum(lost.values()):,} of {shapes.total():,} {name} would be lost;"
                f" 'limits.failed_rows' allows {bound:g})"
            )
    return None


def _instructions(study: Study) -> Counter[Shape]:
    """The number of instructions by shape, from the study's local files; empty if they cannot be read."""
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
    return Counter((bool(system), int(turns), False) for system, turns in found.iter_rows())


def _recordings(study: Study) -> dict[str, Counter[Shape]]:
    """The number of each teacher's recorded answers by shape, from local files that can be read."""
    from preceptor.records import RecordsError
    from preceptor.records.layout import layout_of
    from preceptor.responses.recorded import RecordingCount, read_recording

    found = {}
    for teacher in study.teachers:
        if not isinstance(teacher, RecordedTeacher) or teacher.path is None:
            continue
        try:
            told = [talk for _, talk, _ in read_recording(teacher, RecordingCount(layout_of(teacher)))]
        except RecordsError:  # the check of files reports it
            continue
        found[f"responses of teacher {teacher.name!r}"] = Counter(_shape(talk) for talk in told if talk.user)
    return found


def _shape(talk: Recorded) -> Shape:
    turns = min(len(talk.user), SHAPES[-1][1])
    return bool((talk.system or "").strip()), turns, any("</think>" in said for said in talk.assistant)
