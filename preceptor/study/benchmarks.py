"""Benchmarks with right answers: lm-eval's tasks, and HumanEval."""

from collections.abc import Set
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from preceptor.study.evaluation_facts import EvaluationFacts
from preceptor.study.fields import (
    ExistingPath,
    Frozen,
    Name,
    Real,
    Records,
    Sampling,
    Whole,
)

Preset = Literal["mmlu", "mmlu_5shot", "gsm8k", "bbh", "tydiqa", "ifeval"]


class LmEval(EvaluationFacts, Frozen):
    """Tasks of lm-eval on local files: one of Tülu 1's settings (`preset`), or a custom task.

    `data` is the folder of rows, laid out like a dataset repository. For a custom task, `tasks` is the folder
    of its YAML file, `rows` is the name of its rows, and `splits` lists its splits, the evaluated one first.
    Given values of shots, limit (items per task), metric and chat_template replace the preset's.
    """

    file_fields: ClassVar[Set[str]] = frozenset({"data", "tasks"})
    name: Name
    kind: Literal["lm_eval"]
    preset: Preset | None = None
    data: ExistingPath
    task: str | None = None
    tasks: ExistingPath | None = None
    rows: str = "main"
    splits: tuple[str, ...] = ("test",)
    measure: str | None = None
    shots: Annotated[Whole, Field(ge=0)] | None = None
    limit: Annotated[Whole, Field(gt=0)] | None = None
    chat_template: bool | None = None
    seed: Annotated[Whole, Field(ge=0)] = 0

    @property
    def metric(self) -> str:
        """The name of the score; its method names lm-eval's measure."""
        return "benchmark_score"

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.preset is None) == (self.task is None):
            raise ValueError("give exactly one of 'preset' and 'task'")
        if self.task is not None and (self.tasks is None or self.measure is None):
            raise ValueError("a custom task needs 'tasks', the folder of its YAML file, and 'measure'")
        return self


class ProgramLimits(Frozen):
    """Limits of a program written by a model. It may not start other processes or threads."""

    cpu_seconds: Annotated[Whole, Field(gt=0)] = 3
    wall_seconds: Annotated[Real, Field(gt=0)] = 15.0
    memory_mib: Annotated[Whole, Field(ge=64)] = 512
    disk_mib: Annotated[Whole, Field(gt=0)] = 16
    open_files: Annotated[Whole, Field(ge=16)] = 64


def _willing(value: bool) -> bool:
    if not value:
        raise ValueError(
            "HumanEval runs programs that a model wrote: install bubblewrap (Debian, Ubuntu: apt-get install"
            " bubblewrap; Fedora: dnf install bubblewrap), which isolates them, then set 'run_programs: true'"
        )
    return value


class HumanEval(EvaluationFacts, Records):
    """pass@k of programs (arXiv 2107.03374), run only inside bubblewrap and only if `run_programs` is true.

    Tülu 1 draws 20 programs, at temperature 0.1 for pass@1 and at 0.8 for pass@10: two evaluations.
    """

    name: Name
    kind: Literal["humaneval"]
    run_programs: Annotated[bool, AfterValidator(_willing), Field(validate_default=True)] = False
    k: Annotated[Whole, Field(gt=0)] = 1
    chat_format: bool = False
    limits: ProgramLimits = ProgramLimits()
    sampling: Sampling = Sampling(n=20, temperature=0.1, top_p=0.95, max_new_tokens=512)

    @property
    def metric(self) -> str:
        """pass@k with the study's k."""
        return f"pass@{self.k}"

    @model_validator(mode="after")
    def _enough_samples(self) -> Self:
        if self.sampling.n < self.k:
            raise ValueError(f"pass@{self.k} needs at least {self.k} samples: set sampling.n")
        return self
