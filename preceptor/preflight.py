"""Mistakes that only the files and models of a study show, found before the first teacher runs.

Otherwise a mistyped LoRA key would show after hours of generation. Models on a hub are left to their step.
"""

from collections.abc import Iterator
from pathlib import Path

from preceptor.compute.weights import adapter_problem, model_problem
from preceptor.study.evaluation import Pairwise
from preceptor.study.fields import Model
from preceptor.study.schema import Base, Study
from preceptor.study.teachers import VllmTeacher


def preflight(study: Study) -> list[str]:
    """A sentence per mistake: weights that are pickles, unusable benchmarks, PEFT, formats without an end."""
    tuned = {run.base for run in study.runs}
    return [
        *_weights(study),
        *_benchmarks(study),
        *_adapters(study),
        *(problem for base in study.bases if base.name in tuned for problem in _end_of_turn(base)),
    ]


def _weights(study: Study) -> Iterator[str]:
    judges = [evaluation.judge for evaluation in study.evaluations if isinstance(evaluation, Pairwise)]
    parts = [*study.teachers, *study.bases, *study.reward_models, *judges]
    found = [model_problem(part.model) for part in parts if isinstance(part, Model)]
    adapters = [t.adapter for t in study.teachers if isinstance(t, VllmTeacher) and t.adapter is not None]
    found += [adapter_problem(adapter) for adapter in adapters]
    yield from dict.fromkeys(problem for problem in found if problem is not None)


def _benchmarks(study: Study) -> Iterator[str]:
    from preceptor.evaluation.humaneval.isolation import SandboxError
    from preceptor.evaluation.kinds import KINDS
    from preceptor.evaluation.lm_eval.package import MissingPackageError
    from preceptor.evaluation.whole_file import BenchmarkError
    from preceptor.records import RecordsError

    for evaluation in study.evaluations:
        try:
            KINDS[evaluation.kind].check(evaluation)
        except (BenchmarkError, RecordsError, SandboxError, MissingPackageError) as error:
            named = "" if evaluation.name in str(error) else f"evaluation {evaluation.name!r}: "
            yield f"{named}{error}"


def _adapters(study: Study) -> Iterator[str]:
    used = {run.tuning for run in study.runs}
    for tuning in study.tunings:
        if tuning.name in used and tuning.peft is not None:
            from preceptor.tuning.model import adapter_config
            from preceptor.tuning.task import TuningError

            try:
                adapter_config(tuning)
            except TuningError as error:
                yield str(error)


def _end_of_turn(base: Base) -> Iterator[str]:
    if not Path(base.model).is_dir():
        return
    from preceptor.compute.conversation import TemplateProblem
    from preceptor.compute.load import ModelError, load_tokenizer
    from preceptor.tuning.examples import end_of_turn
    from preceptor.tuning.task import TuningError

    try:
        end_of_turn(load_tokenizer(base.model, base.revision), base.prompt_format, base.name)
    except (ModelError, TemplateProblem, TuningError) as error:
        yield str(error)
