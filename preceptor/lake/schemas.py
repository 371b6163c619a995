"""The lake's tables: what a row is, its columns, its key and its partitions."""

from dataclasses import dataclass

import polars as pl

Type = pl.DataType | type[pl.DataType]
TEXTS = pl.List(pl.String)


@dataclass(frozen=True)
class Table:
    """One Delta table. `key` is unique in a partition; `columns` are without partition and fingerprint."""

    name: str
    row: str
    partition_by: tuple[str, ...]
    key: tuple[str, ...]
    columns: dict[str, tuple[Type, str]]  # name → type and meaning

    @property
    def row_schema(self) -> dict[str, Type]:
        """The row's own columns and their types."""
        return {name: dtype for name, (dtype, _) in self.columns.items()}

    @property
    def schema(self) -> pl.Schema:
        """All columns as stored: partition columns, the row's own, and the fingerprint."""
        partition = dict.fromkeys(self.partition_by, pl.String)
        return pl.Schema({**partition, **self.row_schema, "fingerprint": pl.String})

    def conform(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The row's own columns, in order and in their types."""
        return rows.select(pl.col(name).cast(dtype) for name, dtype in self.row_schema.items())


RAW_INSTRUCTIONS = Table(
    name="raw_instructions",
    row="one instruction: system prompt and user turns",
    partition_by=(),
    key=("instruction_id",),
    columns={
        "instruction_id": (pl.String, "hash of the normalised conversation"),
        "source": (pl.String, "the source that it was kept from"),
        "source_ids": (TEXTS, "the ids that sources gave it, exact duplicates' included"),
        "place": (pl.String, "file and line"),
        "system": (pl.String, "system prompt, or null"),
        "turns": (TEXTS, "user turns"),
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
        "finish_reason": (pl.String, "stop or length; null where the recording does not say"),
        "prompt_tokens": (pl.Int64, "in the teacher's tokens; null where the recording does not say"),
        "response_tokens": (pl.Int64, "in the teacher's tokens, the end token included"),
        "error": (pl.String, "why there is no usable response; null for a good row"),
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
        "reward": (pl.Float64, "never NaN"),
        "error": (pl.String, "why there is no reward"),
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
    },
)
