"""What tuned bases are measured on: answers that a program checks, and comparisons and grades of a judge."""

from collections.abc import Set
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import AfterValidator, Field

from preceptor.study.benchmarks import HumanEval, LmEval
from preceptor.study.conversations import Conversations
from preceptor.study.evaluation_facts import EvaluationFacts
from preceptor.study.fields import ExistingPath, Frozen, InstructionFormat, Name, Records, Sampling
from preceptor.study.held_out import HeldOutLoss, ResponseRanking
from preceptor.study.human_ratings import HumanRatings
from preceptor.study.judges import ClassifierJudge, PairwiseJudge, PromptedJudge


def _single(sampling: Sampling) -> Sampling:
    if sampling.n != 1:
        raise ValueError("this benchmark takes one answer per item: leave 'n' out")
    return sampling


AnswerSampling = Annotated[Sampling, AfterValidator(_single)]


class CheckedColumns(Frozen):
    """Which columns of a benchmark file hold the instruction, its answer, how to check it, and its kind.

    Where nothing is said, `input` and `system` are read from columns of these names.
    """

    instruction: str = "instruction"
    input: str | None = None
    system: str | None = None
    answer: str = "answer"
    check: str = "check"
    task: str | None = None


class Checkers(EvaluationFacts, Records):
    """Accuracy: every item says its answer and which of preceptor.evaluation.checkers decides."""

    metric: ClassVar[str] = "accuracy"
    name: Name
    kind: Literal["checkers"]
    columns: CheckedColumns = CheckedColumns()
    ignore: tuple[str, ...] = ()
    sampling: AnswerSampling = Sampling()


class HumanLabels(Records):
    """Which answer people preferred, to hold the judge against: a row is a run's item and its label.

    The fields name the columns; a label is win, tie or lose, of the run's answer against the reference's.
    The system prompt's column may be missing where items are told apart without it.
    """

    run: str = "run"
    instruction: str = "instruction"
    system: str = "system"
    label: str = "label"


class Pairwise(EvaluationFacts, Conversations):
    """Win rate against the responses in a file: AlpacaEval 1 and 2, or win, tie, lose by LIMA's protocol.

    `length_control` is the folder of alpaca-eval's `df_gamed.csv` and `instruction_difficulty.csv`; without
    it they are fetched once. Where that fails, and for other instructions than AlpacaEval's, the main metric
    is `win_rate` whatever `metric` says, and the scores say so.
    """

    file_fields: ClassVar[Set[str]] = frozenset({"path", "length_control", "human_labels"})
    name: Name
    kind: Literal["pairwise"]
    format: InstructionFormat = "alpaca_eval"
    reference: str = "reference"  # the name of the model that the file's responses are of
    metric: Literal["lc_win_rate", "win_rate"] = "lc_win_rate"  # what the prediction is held against
    judge: PairwiseJudge
    length_control: ExistingPath | None = None
    human_labels: HumanLabels | None = None
    sampling: AnswerSampling = Sampling()

    @property
    def metric_without_files(self) -> str:
        """The plain win rate, which needs no difficulty of the instructions."""
        return "win_rate"

    @property
    def local_judge(self) -> ClassifierJudge | None:
        """The judge, where it is a classifier."""
        return self.judge if isinstance(self.judge, ClassifierJudge) else None

    @property
    def pairwise_judge(self) -> str:
        """The judge, whichever it is."""
        return self.judge.name


class ArenaCategory(Frozen):
    """A category of Arena-Hard v2.0 with a baseline of its own, and its own words for the judge.

    Without `prompt`, creative_writing has the built-in prompt without the judge's own answer.
    """

    answers: ExistingPath
    reference: str
    prompt: ExistingPath | None = None


class ArenaHard(EvaluationFacts, Records):
    """Arena-Hard: two games a prompt in swapped order against the answers of a baseline (arXiv 2406.11939).

    The rows are its questions, of v0.1 or v2.0; `answers` is the file of the baseline's answers, and
    `categories` names those with another baseline.
    """

    file_fields: ClassVar[Set[str]] = frozenset({"path", "answers", "categories"})
    name: Name
    kind: Literal["arena_hard"]
    answers: ExistingPath
    reference: str = "baseline"
    categories: dict[str, ArenaCategory] = Field(default_factory=dict)
    metric: Literal["win_rate", "style_controlled_win_rate"] = "win_rate"
    judge: PromptedJudge
    sampling: AnswerSampling = Sampling(max_new_tokens=4096)

    @property
    def pairwise_judge(self) -> str:
        """The judge that compares each answer with the baseline's."""
        return self.judge.name


class Grades(EvaluationFacts, Conversations):
    """LIMA's helpfulness grades from 1 to 6, several answers to each prompt (arXiv 2305.11206, section 5)."""

    metric: ClassVar[str] = "grade"
    is_share: ClassVar[bool] = False
    name: Name
    kind: Literal["grades"]
    judge: PromptedJudge
    # Five answers in LIMA's ablations, decoded as its section 4 says.
    sampling: Sampling = Sampling(n=5, temperature=0.7, top_p=0.9, max_new_tokens=2048)


AnyEvaluation = (
    Checkers
    | Pairwise
    | ArenaHard
    | Grades
    | LmEval
    | HumanEval
    | ResponseRanking
    | HeldOutLoss
    | HumanRatings
)
Evaluation = Annotated[AnyEvaluation, Field(discriminator="kind")]
EVALUATIONS: dict[str, type[EvaluationFacts]] = {
    get_args(schema.model_fields["kind"].annotation)[0]: schema for schema in get_args(AnyEvaluation)
}  # by kind, for what must be known of an evaluation that is not whole
