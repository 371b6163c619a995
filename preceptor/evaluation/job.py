"""The inputs and results of evaluating one model on one benchmark."""

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
    """A benchmark cannot evaluate an untuned base as it evaluates students. The message gives the reason."""


class Judge(Protocol):
    """A judge that answers questions. `facts` counts requests, tokens and price."""

    facts: dict[str, int | float]

    def stream(self, questions: Sequence[Question]) -> Iterator[tuple[int, Answer]]:
        """Yield (number of the question, its answer) as answers finish, each once."""


@dataclass(frozen=True)
class Engines:
    """Functions that load models and judges on this machine. They are called only if rows are missing.

    `losses` loads a model (a folder, or None for the base itself) as a scorer with the base's settings.
    """

    generator: Callable[[str, Sampling, str], Generator]  # folder, sampling, prompt format
    classifier: Callable[[ClassifierJudge], "RewardScorer"]
    asked: Callable[[AskedJudge], Judge]
    losses: Callable[[Base, str | None], "LossScorer"]
    make_room: Callable[[], None]  # frees memory before other code loads a model
    device: str = "auto"
    batch_size: int = 16


@dataclass(frozen=True)
class Checkpoint:
    """A tuned model: its fingerprint, its base, and a function that provides its folder when needed.

    With `untuned` it is the base itself, in a folder like those of its students.
    """

    fingerprint: str
    base: Base
    folder: Callable[[], str]
    untuned: bool = False


@dataclass(frozen=True)
class EvaluationJob(Generic[Declared]):
    """A run, its checkpoint and a benchmark. With `retry_failed`, rows with an error are computed again.

    `rows_at_once` rows are scored or run together where the model does not work row by row. If the process
    is killed, at most this many rows are lost.
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
        """The partition of its rows in `judgments`, `eval_results` and `eval_scores`."""
        return {"run": self.run, "benchmark": self.evaluation.name}


@dataclass(frozen=True)
class ScoredItems:
    """The rows of `eval_results`, how many the benchmark expects, and the judge's `judgments`."""

    results: Outcome
    expected: int
    judgments: Outcome | None = None


@dataclass(frozen=True)
class Metric:
    """One number of a benchmark, with its method, its unit, and the number and category of its items.

    `reference` is given where it differs from the benchmark's reference.
    """

    name: str
    estimate: Estimate
    method: str
    n: int
    unit: str = "share"
    category: str = ""
    reference: str | None = None
