"""What tuned bases are measured on: answers that a program checks, and duels that a judge decides."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from preceptor.study.fields import Frozen, InstructionFormat, Model, Name, PromptFormat, Records, Sampling


def _single(sampling: Sampling) -> Sampling:
    if sampling.n != 1:
        raise ValueError("a benchmark takes one answer per item: leave 'n' out")
    return sampling


AnswerSampling = Annotated[Sampling, AfterValidator(_single)]


class CheckedColumns(Frozen):
    """Which columns of a benchmark file hold the instruction, its answer, how to check it, and its kind."""

    instruction: str = "instruction"
    answer: str = "answer"
    check: str = "check"
    task: str | None = None


class Checkers(Records):
    """Accuracy: every item says its answer and which of preceptor.evaluation.checkers decides."""

    metric: ClassVar[str] = "accuracy"
    name: Name
    kind: Literal["checkers"]
    columns: CheckedColumns = CheckedColumns()
    sampling: AnswerSampling = Sampling()


class Judge(Model):
    """A sequence classifier that scores both responses; the win probability is σ(score - reference's)."""

    name: Name
    prompt_format: PromptFormat | Literal["pair"] = "own"
    label: Annotated[int, Field(ge=0)] | None = None


class Pairwise(Records):
    """Win rate against the responses in a file, say AlpacaEval's reference outputs."""

    name: Name
    kind: Literal["pairwise"]
    format: InstructionFormat = "alpaca_eval"
    reference: str = "reference"  # the name of the model that the file's responses are of
    metric: Literal["lc_win_rate", "win_rate"] = "lc_win_rate"  # what the prediction is held against
    judge: Judge
    sampling: AnswerSampling = Sampling()


Evaluation = Annotated[Checkers | Pairwise, Field(discriminator="kind")]
