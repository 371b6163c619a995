"""Find mistakes that only a study's files and models show, before the first teacher runs.

Otherwise a mistyped LoRA key would only show after hours of generation. Models on a hub are checked by their
step.
"""

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

from preceptor.compute.use import Use
from preceptor.soundness import unless_sound
from preceptor.study.fields import Model
from preceptor.study.reward_models import ClassifierRewardModel
from preceptor.study.schema import Base, Study
from preceptor.study.teachers import LocalTeacher, VllmTeacher
from preceptor.study.tuning import Tuning
from preceptor.template_check import template_problems


def preflight(study: Study) -> list[str]:
    """A sentence per mistake in models, benchmarks, adapters, templates and ends of turns."""
    tuned = {run.base for run in study.runs}
    of_models = list(_models(study))
    broken = {told.partition(": ")[0] for told in of_models}
    templates = {place: problem for place, problem in template_problems(study) if place not in broken}
    endings = (
        problem
        for base in study.bases
        if base.name in tuned and f"bases.{base.name}" not in templates
        for problem in _end_of_turn(base)
    )
    return [
        *of_models,
        *_benchmarks(study),
        *_adapters(study),
        *(f"{place}: {problem}" for place, problem in templates.items()),
        *(problem for problem in endings if not any(problem in told for told in of_models)),
    ]


def _models(study: Study) -> Iterator[str]:
    """Problems of local model folders. Each is reported once, for the first part of the study that has it."""
    judges = [evaluation.local_judge for evaluation in study.evaluations]
    parts = [*study.teachers, *study.bases, *study.reward_models, *judges]
    folders = (isinstance(part, Model) and Path(part.model).is_dir() for part in parts)
    if not any(folders) and not any(isinstance(t, VllmTeacher) and t.adapter for t in study.teachers):
        return  # torch takes seconds to import
    told: set[str] = set()
    for place, part, use in _uses(study):
        for problem in _folder_problems(part, use):
            if problem not in told:
                told.add(problem)
                yield f"{place}: {problem}"


def _folder_problems(part: Model, use: Use) -> list[str]:
    def ask() -> list[str]:
        from preceptor.compute.check import folder_problems

        return folder_problems(part.model, part.revision, use)

    folders = [part.model] if use.adapter is None else [part.model, use.adapter]
    return unless_sound(["folder", part.model, part.revision, asdict(use)], folders, ask, sound=list[str]())


def _uses(study: Study) -> Iterator[tuple[str, Model, Use]]:
    for teacher in study.teachers:
        if isinstance(teacher, VllmTeacher):
            use = Use("language model", teacher.prompt_format, vllm=True, adapter=teacher.adapter)
            yield f"teachers.{teacher.name}", teacher, use
        elif isinstance(teacher, LocalTeacher):
            yield f"teachers.{teacher.name}", teacher, _language_model(teacher)
    for base in study.bases:
        yield f"bases.{base.name}", base, _language_model(base)
    for scorer in study.reward_models:
        if isinstance(scorer, ClassifierRewardModel):
            use = Use(
                "classifier",
                scorer.prompt_format,
                own_code=scorer.allow_remote_code,
                max_length=scorer.max_length,
                label=scorer.label,
            )
            yield f"reward_models.{scorer.name}", scorer, use
    for evaluation in study.evaluations:
        if (judge := evaluation.local_judge) is not None:
            use = Use("classifier", judge.prompt_format, max_length=judge.max_length, label=judge.label)
            yield f"evaluations.{evaluation.name}.judge", judge, use


def _language_model(part: LocalTeacher | Base) -> Use:
    return Use("language model", part.prompt_format, max_length=part.max_length)


def _benchmarks(study: Study) -> Iterator[str]:
    from preceptor.evaluation.humaneval.isolation import SandboxError
    from preceptor.evaluation.kind import kind_of
    from preceptor.evaluation.lm_eval.package import MissingPackageError
    from preceptor.evaluation.whole_file import BenchmarkError
    from preceptor.judging.prompt_file import PromptError
    from preceptor.records import RecordsError

    for evaluation in study.evaluations:
        try:
            kind_of(evaluation).check(evaluation)
        except (BenchmarkError, PromptError, RecordsError, SandboxError, MissingPackageError) as error:
            named = "" if evaluation.name in str(error) else f"evaluation {evaluation.name!r}: "
            yield f"{named}{error}"


def _adapters(study: Study) -> Iterator[str]:
    """Put each adapter on each base that it will tune, and merge it. No weights load, so this is fast."""
    pairs = dict.fromkeys((run.base, run.tuning) for run in study.runs)
    found: list[str] = []
    for base, tuning in ((study.base(base), study.tuning(tuning)) for base, tuning in pairs):
        if tuning.peft is not None:
            found += unless_sound(
                ["adapter", base.model_dump(mode="json"), tuning.model_dump(mode="json")],
                [base.model],
                partial(_adapter, base, tuning),
                sound=list[str](),
            )
    yield from dict.fromkeys(found)


def _adapter(base: Base, tuning: Tuning) -> list[str]:
    from preceptor.tuning.adapter import try_adapter
    from preceptor.tuning.task import TuningError

    try:
        try_adapter(base, tuning)
    except TuningError as error:
        return [str(error)]
    return []


def _end_of_turn(base: Base) -> list[str]:
    def ask() -> list[str]:
        from preceptor.compute.conversation import TemplateProblem
        from preceptor.compute.load import ModelError, load_tokenizer
        from preceptor.tuning.examples import end_of_turn
        from preceptor.tuning.task import TuningError

        try:
            end_of_turn(load_tokenizer(base.model, base.revision), base.prompt_format, base.name)
        except (ModelError, TemplateProblem, TuningError) as error:
            return [str(error)]
        return []

    if not Path(base.model).is_dir():
        return []
    return unless_sound(["end of a turn", base.model_dump(mode="json")], [base.model], ask, sound=list[str]())
