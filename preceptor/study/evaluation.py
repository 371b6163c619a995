"""Evaluations of tuned bases: answers checked by a program, and a judge's comparisons and grades."""

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
    """The columns of a benchmark file with the instruction, its answer, its check and its kind.

    By default `input` and `system` are read from columns of these names.
    """

    instruction: str = "instruction"
    input: str | None = None
    system: str | None = None
    answer: str = "answer"
    check: str = "check"
    task: str | None = None


class Checkers(EvaluationFacts, Records):
    """Accuracy: every item has its answer and the name of a check in preceptor.evaluation.checkers."""

    metric: ClassVar[str] = "accuracy"
    name: Name
    kind: Literal["checkers"]
    columns: CheckedColumns = CheckedColumns()
    ignore: tuple[str, ...] = ()
    sampling: AnswerSampling = Sampling()


class HumanLabels(Records):
    """Human preferences to compare the judge with: a row is an item of a run and its label.

    The fields name the columns. A label is win, tie or lose, for the run's answer against the reference's.
    The system prompt's column may be missing if items are unique without it.
    """

    run: str = "run"
    instruction: str = "instruction"
    system: str = "system"
    label: str = "label"


class Pairwise(EvaluationFacts, Conversations):
    """Win rate against the responses in a file: AlpacaEval 1 and 2, or win, tie, lose by LIMA's protocol.

    `length_control` is the folder with alpaca-eval's `df_gamed.csv` and `instruction_difficulty.csv`. Without
    it they are downloaded once. If that fails, or if the instructions are not AlpacaEval's, the main metric
    is `win_rate` regardless of `metric`, and the scores record this.
    """

    file_fields: ClassVar[Set[str]] = frozenset({"path", "length_control", "human_labels"})
    name: Name
    kind: Literal["pairwise"]
    format: InstructionFormat = "alpaca_eval"
    reference: str = "reference"  # the model whose responses are in the file
    metric: Literal["lc_win_rate", "win_rate"] = "lc_win_rate"  # compared with the prediction
    judge: PairwiseJudge
    length_control: ExistingPath | None = None
    human_labels: HumanLabels | None = None
    sampling: AnswerSampling = Sampling()

    @property
    def metric_without_files(self) -> str:
        """The plain win rate, which does not need the instructions' difficulty."""
        return "win_rate"

    @property
    def local_judge(self) -> ClassifierJudge | None:
        """The judge, if it is a classifier."""
        return self.judge if isinstance(self.judge, ClassifierJudge) else None

    @property
    def pairwise_judge(self) -> str:
        """The name of the judge."""
        return self.judge.name


class ArenaCategory(Frozen):
    """A category of Arena-Hard v2.0 with its own baseline and its own prompt for the judge.

    Without `prompt`, creative_writing uses the built-in prompt, which does not ask the judge to answer first.
    """

    answers: ExistingPath
    reference: str
    prompt: ExistingPath | None = None


class ArenaHard(EvaluationFacts, Records):
    """Arena-Hard: two games per prompt, in both orders, against a baseline's answers (arXiv 2406.11939).

    The rows are the questions of v0.1 or v2.0. `answers` is the file of the baseline's answers. `categories`
    declares the categories with another baseline.
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
}  # by kind, for checks of incomplete evaluations
