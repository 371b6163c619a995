"""The lake's tables: what a row is, its columns, its key and its partitions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

Type = pl.DataType | type[pl.DataType]
TEXTS = pl.List(pl.String)
# The blanks of ASCII by name: what \\s stands for, Polars and DuckDB do not agree on.
SEEN = r"[^\t\n\f\r \pZ]"


class UndeclaredColumnError(ValueError):
    """Rows with a column that their table does not declare: it would be lost in silence."""


@dataclass(frozen=True)
class Derived:
    """A column that follows from a row's others, kept so that analytics need not read those.

    `of` makes it as rows are written; `sql` is the same to DuckDB, for rows that an older release wrote.
    """

    dtype: Type
    meaning: str
    of: pl.Expr
    sql: str


@dataclass(frozen=True)
class Table:
    """One Delta table. `key` is unique in a partition; `columns` are without partition and fingerprint.

    `derived` columns are no part of what a row says: rows are compared and read without them.
    """

    name: str
    row: str
    partition_by: tuple[str, ...]
    key: tuple[str, ...]
    columns: dict[str, tuple[Type, str]]  # name → type and meaning
    derived: dict[str, Derived] = field(default_factory=dict, compare=False)

    @property
    def row_schema(self) -> dict[str, Type]:
        """The row's own columns and their types."""
        return {name: dtype for name, (dtype, _) in self.columns.items()}

    @property
    def schema(self) -> pl.Schema:
        """Partition columns, the row's own, and the fingerprint."""
        partition = dict.fromkeys(self.partition_by, pl.String)
        return pl.Schema({**partition, **self.row_schema, "fingerprint": pl.String})

    @property
    def stored(self) -> pl.Schema:
        """All columns as stored: derived ones too."""
        return pl.Schema({**self.schema, **{name: column.dtype for name, column in self.derived.items()}})

    @property
    def meanings(self) -> dict[str, str]:
        """What each stored column means."""
        own = {name: meaning for name, (_, meaning) in self.columns.items()}
        derived = {name: column.meaning for name, column in self.derived.items()}
        partition = dict.fromkeys(self.partition_by, "partition")
        return {**partition, **own, "fingerprint": "over all that would change the row", **derived}

    def with_derived(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows with the columns that follow from their others."""
        return rows.with_columns(column.of.alias(name) for name, column in self.derived.items())

    def refuse_undeclared(self, columns: Iterable[str]) -> None:
        """Raise UndeclaredColumnError where a column is none of this table's."""
        if undeclared := sorted(set(columns) - set(self.stored)):
            raise UndeclaredColumnError(
                f"table {self.name} declares no column {', '.join(undeclared)}: add it to the table's columns"
                " in preceptor/lake/schemas.py, or do not compute it"
            )

    def conform(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The row's own columns, in order and in their types. Raises UndeclaredColumnError."""
        self.refuse_undeclared(rows.columns)
        return rows.select(pl.col(name).cast(dtype) for name, dtype in self.row_schema.items())

    def frame(self, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
        """Rows, by column, as a frame in `row_schema`; what a row leaves out is null.

        By way of Arrow: polars itself makes a series of each list, at several times the memory.
        Raises UndeclaredColumnError.
        """
        import pyarrow as pa

        self.refuse_undeclared({name for row in rows for name in row})
        arrow = pl.DataFrame(schema=self.row_schema).to_arrow().schema
        found = pl.from_arrow(pa.Table.from_pylist(rows, schema=arrow))
        assert isinstance(found, pl.DataFrame)
        return found


RAW_INSTRUCTIONS = Table(
    name="raw_instructions",
    row="one instruction: system prompt and user turns",
    partition_by=(),
    key=("instruction_id",),
    columns={
        "instruction_id": (pl.String, "hash of what the conversation says"),
        "source": (pl.String, "the source that it was kept from"),
        "source_ids": (TEXTS, "the ids that sources gave it, exact duplicates' included"),
        "place": (pl.String, "file and line"),
        "system": (pl.String, "system prompt, or null"),
        "turns": (TEXTS, "user turns"),
        "answer": (pl.String, "the right answer, where the source knows it"),
        "check": (pl.String, "which checker compares a response with it"),
        "prompt_hash": (pl.String, "hash of the exact conversation"),
    },
)

RESPONSES = Table(
    name="responses",
    row="one response of a teacher to an instruction",
    partition_by=("teacher",),
    key=("instruction_id", "sample"),
    columns={
        "response_id": (pl.String, "hash of teacher, exact prompt, sample and turns"),
        "instruction_id": (pl.String, "the instruction answered"),
        "source_id": (pl.String, "the id that the recording joined it by; null otherwise"),
        "prompt_hash": (pl.String, "hash of the exact conversation answered"),
        "sample": (pl.Int32, "0, 1, … where a teacher answers several times"),
        "turns": (TEXTS, "assistant turns, one per user turn"),
        "finish_reason": (
            pl.String,
            "stop, or length where a turn was cut; null where the recording does not say",
        ),
        "prompt_tokens": (pl.Int64, "in the teacher's tokens; null where the recording does not say"),
        "response_tokens": (pl.Int64, "in the teacher's tokens, the end token included"),
        "error": (pl.String, "why there is no usable response; null for a good row"),
    },
    derived={
        "characters": Derived(
            pl.Int64,
            "of all turns; null without a turn",
            pl.when(pl.col("turns").list.drop_nulls().list.len() > 0).then(
                pl.col("turns").list.eval(pl.element().str.len_chars().cast(pl.Int64)).list.sum()
            ),
            "list_sum([length(turn) FOR turn IN turns])::BIGINT",
        ),
        "blank": Derived(
            pl.Boolean,
            "whether no turn has a character other than blanks and line ends",
            ~pl.col("turns").list.eval(pl.element().str.contains(SEEN)).list.any().fill_null(False),
            rf"NOT coalesce(list_bool_or([regexp_matches(turn, '{SEEN}') FOR turn IN turns]), false)",
        ),
    },
)

REWARDS = Table(
    name="rewards",
    row="one reward model's score of a response",
    partition_by=("reward_model", "teacher"),
    key=("response_id",),
    columns={
        "response_id": (pl.String, "the response scored"),
        "instruction_id": (pl.String, "the instruction answered"),
        "sample": (pl.Int32, "which sample of the teacher"),
        "reward": (pl.Float64, "never NaN; null where it failed or is missing"),
        "error": (pl.String, "why scoring failed; null too where a recording just has no score"),
    },
)

BASE_LOSSES = Table(
    name="base_losses",
    row="one response as a base model sees it: sums over its scored tokens, given the instruction",
    partition_by=("base", "teacher"),
    key=("response_id",),
    columns={
        "response_id": (pl.String, "the response scored"),
        "instruction_id": (pl.String, "the instruction answered"),
        "sample": (pl.Int32, "which sample of the teacher"),
        "response_tokens": (pl.Int64, "in the base's tokens, before truncation"),
        "tokens": (pl.Int64, "scored"),
        "nll_sum": (pl.Float64, "nats"),
        "probability_sum": (pl.Float64, "of the tokens"),
        "rank_sum": (pl.Float64, "1 is the likeliest token"),
        "rank50_sum": (pl.Float64, "ranks clipped at 50"),
        "rank100_sum": (pl.Float64, "ranks clipped at 100"),
        "rank500_sum": (pl.Float64, "ranks clipped at 500"),
        "entropy_sum": (pl.Float64, "of the next-token distribution, nats"),
        "squared_probability_sum": (pl.Float64, "of the next-token distribution"),
        "prompt_tokens": (pl.Int64, "scored before the first response token"),
        "prompt_nll_sum": (pl.Float64, "nats"),
        "steps": (pl.Int64, "begin with the response and after each '. ' or '? '"),
        "head1_tokens": (pl.Int64, "first tokens of steps"),
        "head1_nll_sum": (pl.Float64, "nats, over first tokens of steps"),
        "head2_tokens": (pl.Int64, "first two tokens of steps"),
        "head2_nll_sum": (pl.Float64, "nats, over first two tokens of steps"),
        "unconditional_tokens": (pl.Int64, "the same response tokens, behind BOS alone"),
        "unconditional_nll_sum": (pl.Float64, "nats, without the instruction"),
        "error": (pl.String, "why nothing could be scored"),
    },
)

CAR_TABLE = Table(
    name="car_table",
    row="one teacher for one base; a teacher that cannot be ranked has a null CAR and says what is missing",
    partition_by=(),
    key=("base", "teacher"),
    columns={
        "base": (pl.String, "base model"),
        "teacher": (pl.String, "teacher"),
        "rank": (pl.Int64, "1 is the highest CAR"),
        "rank_low": (pl.Int64, "best rank that the data allow, jointly over all teachers"),
        "rank_high": (pl.Int64, "worst rank that the data allow"),
        "car": (pl.Float64, "Compatibility-Adjusted Reward"),
        "car_low": (pl.Float64, "lower end of its interval"),
        "car_high": (pl.Float64, "upper end"),
        "mean_reward": (pl.Float64, "r, of mapped rewards"),
        "mean_loss": (pl.Float64, "L, nats per token"),
        "instructions": (pl.Int64, "that the means are taken over"),
        "available": (pl.Int64, "instructions of this teacher that have both a reward and a loss"),
        "expected": (pl.Int64, "instructions of the study"),
        "without_response": (pl.Int64, "instructions"),
        "without_reward": (pl.Int64, "responses"),
        "without_loss": (pl.Int64, "responses"),
        "tokens_scored": (pl.Float64, "share of the response tokens that fit into the base's context"),
        "missing": (pl.String, "why the teacher is not ranked; null where it is"),
        "reward_model": (pl.String, "where r comes from"),
        "beta": (pl.Float64, "weight of the loss"),
        "form": (pl.String, "ratio or product"),
    },
)

CAR_BETA_SWEEP = Table(
    name="car_beta_sweep",
    row="one teacher for one base at one β",
    partition_by=(),
    key=("base", "teacher", "beta"),
    columns={
        "base": (pl.String, "base model"),
        "teacher": (pl.String, "teacher"),
        "beta": (pl.Float64, "weight of the loss"),
        "car": (pl.Float64, "Compatibility-Adjusted Reward at this β"),
        "rank": (pl.Int64, "1 is the highest CAR at this β"),
    },
)

SELECTED_SUBSET = Table(
    name="selected_subset",
    row="one response chosen for tuning, with why",
    partition_by=("recipe",),
    key=("response_id",),
    columns={
        "response_id": (pl.String, "the response chosen"),
        "instruction_id": (pl.String, "the instruction it answers"),
        "teacher": (pl.String, "whose response it is"),
        "sample": (pl.Int32, "which sample of the teacher"),
        "value": (pl.Float64, "what it was chosen by, if by a number"),
        "why": (pl.String, "the reason in words"),
        "cut_left_out": (
            pl.Int64,
            "of the recipe: responses left out since they were cut at the limit of tokens",
        ),
        "above_one_left_out": (pl.Int64, "of the recipe: responses left out for an IFD above 1"),
    },
)

TUNED_CHECKPOINT = Table(
    name="tuned_checkpoint",
    row="one tuned model: where its folder is, what it was made of, and its loss curve",
    partition_by=("run",),
    key=("uri",),
    columns={
        "base": (pl.String, "base model"),
        "recipe": (pl.String, "whose rows it was tuned on"),
        "tuning": (pl.String, "the study's name of the hyper-parameters"),
        "seed": (pl.Int64, "of data order and of new weights"),
        "rows": (pl.Int64, "tuned on"),
        "truncated_rows": (pl.Int64, "of them did not fit and lost their end"),
        "failed_rows": (pl.Int64, "chosen, but left out; the manifest names each and says why"),
        "tokens": (pl.Int64, "of responses, an epoch"),
        "steps": (pl.Int64, "of the optimizer"),
        "final_loss": (pl.Float64, "mean over the last epoch's logged steps, nats per token"),
        "loss_steps": (pl.List(pl.Int64), "steps at which the loss was logged"),
        "losses": (pl.List(pl.Float64), "training loss at these steps"),
        "uri": (pl.String, "folder of safetensors, tokenizer and manifest.json"),
        "manifest": (pl.String, "manifest.json's text"),
    },
)

STUDENT_RESPONSES = Table(
    name="student_responses",
    row="one answer of a tuned model to an evaluation's instruction",
    partition_by=("run", "items"),  # items: a hash of the instructions and the sampling; benchmarks share it
    key=("item_id", "sample"),
    columns={
        "item_id": (pl.String, "hash of the exact instruction"),
        "sample": (pl.Int32, "0, 1, … where an item is answered several times"),
        "turns": (TEXTS, "the tuned model's turns"),
        "finish_reason": (pl.String, "stop or length"),
        "prompt_tokens": (pl.Int64, "in the tuned model's tokens"),
        "response_tokens": (pl.Int64, "in the tuned model's tokens, the end token included"),
        "error": (pl.String, "why there is no response"),
    },
)

JUDGMENTS = Table(
    name="judgments",
    row="one question to a judge about one answer of a tuned model, and the verdict",
    partition_by=("run", "benchmark"),
    key=("item_id", "sample", "shown", "draw"),
    columns={
        "item_id": (pl.String, "the item judged"),
        "sample": (pl.Int32, "which answer to it"),
        "shown": (pl.String, "response_first, reference_first, or alone: what the judge saw first"),
        "draw": (pl.Int32, "0, 1, … where the judge is asked the same several times"),
        "judge": (pl.String, "the model asked, and where"),
        "prompt_hash": (pl.String, "hash of the exact messages"),
        "raw": (pl.String, "what the judge said, or its token probabilities; null where nobody was asked"),
        "verdict": (pl.String, "as it was read"),
        "outcome": (pl.Float64, "of the response: 0 to 1 in a duel, else its grade; null with an error"),
        "prompt_tokens": (pl.Int64, "that the judge says it read"),
        "response_tokens": (pl.Int64, "that the judge says it wrote"),
        "price": (pl.Float64, "of this answer, by the study's prices; null where one is silent"),
        "filtered": (pl.String, "why the judge's side withheld a verdict; null otherwise"),
        "error": (pl.String, "why there is no verdict, filtered or failed"),
    },
)

MEASURES = pl.List(pl.Struct({"name": pl.String, "value": pl.Float64}))

EVAL_RESULTS = Table(
    name="eval_results",
    row="one answer to an item of a benchmark: what the tuned model said and how well",
    partition_by=("run", "benchmark"),
    key=("item_id", "sample"),
    columns={
        "item_id": (pl.String, "hash of the exact instruction"),
        "sample": (pl.Int32, "0, 1, … where an item is answered several times"),
        "instruction": (TEXTS, "user turns"),
        "task": (pl.String, "the kind of item, where the file says it"),
        "response": (TEXTS, "the tuned model's turns"),
        "reference": (pl.String, "the right answer, or the reference model's response"),
        "outcome": (
            pl.Float64,
            "in the benchmark's unit: correct or not, the probability of winning, a grade, a loss; null"
            " with an error",
        ),
        "score": (pl.Float64, "the judge's score of the response"),
        "reference_score": (pl.Float64, "the judge's score of the reference"),
        "measures": (MEASURES, "what else was measured, by name"),
        "why": (pl.String, "why the outcome is what it is, where its checker says so"),
        "response_tokens": (pl.Int64, "in the tuned model's tokens, the end token included"),
        "filtered": (pl.String, "why the item is left out on purpose; null otherwise"),
        "error": (pl.String, "why the item has no outcome, filtered or failed"),
    },
)

EVAL_SCORES = Table(
    name="eval_scores",
    row="one metric of a tuned model on a benchmark, with its interval",
    partition_by=("run", "benchmark"),
    key=("metric", "category"),
    columns={
        "metric": (pl.String, "accuracy, win_rate, lc_win_rate, …; the first row is the main one"),
        "category": (pl.String, "the kind of item that it is taken over; empty for all of them"),
        "value": (pl.Float64, "in its unit"),
        "low": (pl.Float64, "lower end of the 95 % interval"),
        "high": (pl.Float64, "upper end"),
        "unit": (pl.String, "share (0 to 1), grade, nats per token, perplexity, bias (-1 to 1)"),
        "n": (pl.Int64, "items that it is taken over"),
        "expected": (pl.Int64, "answers that the benchmark asks for: judged, failed and filtered ones"),
        "judged": (pl.Int64, "answers that have an outcome"),
        "failed": (pl.Int64, "answers that have none, though they should"),
        "filtered": (pl.Int64, "answers left out on purpose, each with why"),
        "method": (pl.String, "the formula of value and interval"),
        "judge": (pl.String, "identity of the model that judged; null for a program"),
        "reference": (pl.String, "whose responses it is compared with"),
        "error": (pl.String, "why there is no value"),
    },
)

EVAL_DIFFERENCES = Table(
    name="eval_differences",
    row="two runs, or a run and its untuned base, on one benchmark, item by item: is the first ahead?",
    partition_by=(),
    key=("benchmark", "first_run", "second_run"),
    columns={
        "benchmark": (pl.String, "benchmark"),
        "base": (pl.String, "the base model of both"),
        "first_run": (pl.String, "run"),
        "second_run": (pl.String, "run"),
        "untuned": (pl.Boolean, "whether the second is the base itself, untuned"),
        "metric": (
            pl.String,
            "the metric tested: the benchmark's main one, with its category where it has one",
        ),
        "difference": (pl.Float64, "the metric of the first minus that of the second, over common items"),
        "low": (pl.Float64, "lower end of the 95 % interval"),
        "high": (pl.Float64, "upper end"),
        "p_value": (pl.Float64, "two-sided, paired by item"),
        "p_adjusted": (
            pl.Float64,
            "by Holm, over the base's pairs of runs on the benchmark; those with the untuned base are a"
            " family of their own",
        ),
        "n": (pl.Int64, "items that both have an outcome of"),
        "left_out": (pl.Int64, "items that only one has an outcome of"),
        "method": (pl.String, "the test and the interval"),
        "error": (pl.String, "why there is no difference"),
    },
)

PREDICTED_ACTUAL = Table(
    name="predicted_actual",
    row="one run tuned on one teacher's rows: what was known before tuning, and what came out",
    partition_by=(),
    key=("run", "benchmark", "metric"),
    columns={
        "base": (pl.String, "base model"),
        "teacher": (pl.String, "whose rows the run was tuned on"),
        "style": (pl.String, "what the teacher shares with others, by the study; null for nothing"),
        "run": (pl.String, "run"),
        "benchmark": (pl.String, "benchmark"),
        "metric": (pl.String, "metric; with its category where a benchmark's categories are not pooled"),
        "main": (pl.Boolean, "whether this is the benchmark's main metric"),
        "value": (pl.Float64, "what came out, in the metric's unit"),
        "unit": (pl.String, "share, grade, nats per token, perplexity"),
        "higher_is_better": (pl.Boolean, "false for a loss"),
        "low": (pl.Float64, "lower end of its 95 % interval"),
        "high": (pl.Float64, "upper end"),
        "n": (pl.Int64, "items"),
        "car": (pl.Float64, "predicted: Compatibility-Adjusted Reward"),
        "car_rank": (pl.Int64, "its rank among the base's teachers"),
        "mean_reward": (pl.Float64, "r alone"),
        "mean_loss": (pl.Float64, "L alone, nats per token"),
        "mean_characters": (pl.Float64, "of the teacher's responses"),
        "differs": (
            pl.Boolean,
            "whether the run differs from its untuned base in the main metric by more than chance",
        ),
        "doubt": (pl.String, "why the run may have learned little or nothing; null where nothing says so"),
    },
)

TABLES = {
    table.name: table
    for table in (
        RAW_INSTRUCTIONS,
        RESPONSES,
        REWARDS,
        BASE_LOSSES,
        CAR_TABLE,
        CAR_BETA_SWEEP,
        SELECTED_SUBSET,
        TUNED_CHECKPOINT,
        STUDENT_RESPONSES,
        JUDGMENTS,
        EVAL_RESULTS,
        EVAL_SCORES,
        EVAL_DIFFERENCES,
        PREDICTED_ACTUAL,
    )
}
