"""One tuned model, or untuned base, on one benchmark: what deciding its items needs, and what comes of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from preceptor.compute.request import Generator
from preceptor.judging.judge import Answer
from preceptor.judging.question import Question
from preceptor.lake.resume import Outcome
from preceptor.lake.store import Lake, Partition
from preceptor.statistics.estimates import Estimate
from preceptor.study.evaluation import AnyEvaluation
from preceptor.study.fields import Sampling
from preceptor.study.judges import AskedJudge, ClassifierJudge
from preceptor.study.schema import Base

if TYPE_CHECKING:
    from preceptor.compute.loss import LossScorer
    from preceptor.compute.reward import RewardScorer

Declared = TypeVar("Declared", bound=AnyEvaluation)


class NotEvaluatedError(ValueError):
    """An untuned base that a benchmark cannot evaluate as it evaluates students; its text says why."""


class Judge(Protocol):
    """A judge that is asked questions. `facts` says what that took."""

    facts: dict[str, int | float]

    def stream(self, questions: Sequence[Question]) -> Iterator[tuple[int, Answer]]:
        """Yield (number of the question, its answer) as they finish, each once."""


@dataclass(frozen=True)
class Engines:
    """How this machine loads models and judges: called only for rows that are missing.

    `losses` loads a model (a folder, or None for the base itself) as a scorer with the base's settings.
    """

    generator: Callable[[str, Sampling, str], Generator]  # folder, sampling, prompt format
    classifier: Callable[[ClassifierJudge], "RewardScorer"]
    asked: Callable[[AskedJudge], Judge]
    losses: Callable[[Base, str | None], "LossScorer"]
    make_room: Callable[[], None]  # for a model that somebody else loads
    device: str = "auto"
    batch_size: int = 16


@dataclass(frozen=True)
class Checkpoint:
    """A tuned model: what made it, what it was made from, and its folder, asked for only when needed.

    Or the base itself, `untuned`, in a folder like those of its students.
    """

    fingerprint: str
    base: Base
    folder: Callable[[], str]
    untuned: bool = False


@dataclass(frozen=True)
class EvaluationJob(Generic[Declared]):
    """A run, its checkpoint and a benchmark. With `retry_failed`, rows with an error are computed again.

    `rows_at_once` are scored or run together, where a model is not asked row by row; a kill loses no more.
    """

    lake: Lake
    run: str
    evaluation: Declared
    checkpoint: Checkpoint
    engines: Engines
    rows_at_once: int
    retry_failed: bool = False

    @property
    def partition(self) -> Partition:
        """Where its rows go in `judgments`, `eval_results` and `eval_scores`."""
        return {"run": self.run, "benchmark": self.evaluation.name}


@dataclass(frozen=True)
class ScoredItems:
    """The rows of `eval_results`, how many the benchmark's own file asks for, and the judge's `judgments`."""

    results: Outcome
    expected: int
    judgments: Outcome | None = None


@dataclass(frozen=True)
class Metric:
    """One number of a benchmark, how it was made, in which unit, and over how many items of which kind.

    `reference` is whose responses it compares with where that is not the whole benchmark's.
    """

    name: str
    estimate: Estimate
    method: str
    n: int
    unit: str = "share"
    category: str = ""
    reference: str | None = None
