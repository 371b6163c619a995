"""The lake's tables: what a row is, its columns, its key and its partitions."""

from dataclasses import dataclass

import polars as pl

TEXTS = pl.List(pl.String)


@dataclass(frozen=True)
class Table:
    """One Delta table. `key` is unique in a partition; `row_schema` is without partition and fingerprint."""

    name: str
    row: str
    partition_by: tuple[str, ...]
    key: tuple[str, ...]
    row_schema: dict[str, pl.DataType | type[pl.DataType]]

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
    row_schema={
        "instruction_id": pl.String,  # hash of the normalised conversation
        "source": pl.String,
        "source_ids": TEXTS,  # the ids that sources gave it, exact duplicates' included
        "place": pl.String,  # file and line
        "system": pl.String,
        "turns": TEXTS,  # user turns
        "prompt_hash": pl.String,  # hash of the exact conversation
    },
)

RESPONSES = Table(
    name="responses",
    row="one response of a teacher to an instruction",
    partition_by=("teacher",),
    key=("instruction_id", "sample"),
    row_schema={
        "response_id": pl.String,  # hash of teacher, exact prompt, sample and turns
        "instruction_id": pl.String,
        "prompt_hash": pl.String,
        "sample": pl.Int32,
        "turns": TEXTS,  # assistant turns, one per user turn
        "finish_reason": pl.String,  # stop or length; null where the recording does not say
        "prompt_tokens": pl.Int64,  # in the teacher's tokens; null where the recording does not say
        "response_tokens": pl.Int64,
        "error": pl.String,  # why there is no usable response; null for a good row
    },
)

REWARDS = Table(
    name="rewards",
    row="one reward model's score of a response",
    partition_by=("reward_model", "teacher"),
    key=("response_id",),
    row_schema={
        "response_id": pl.String,
        "instruction_id": pl.String,
        "sample": pl.Int32,
        "reward": pl.Float64,  # never NaN
        "error": pl.String,  # why there is no reward
    },
)

BASE_LOSSES = Table(
    name="base_losses",
    row="one response as a base model sees it: sums over its scored tokens, given the instruction",
    partition_by=("base", "teacher"),
    key=("response_id",),
    row_schema={
        "response_id": pl.String,
        "instruction_id": pl.String,
        "sample": pl.Int32,
        "response_tokens": pl.Int64,  # in the base's tokens, before truncation
        "tokens": pl.Int64,  # scored
        "nll_sum": pl.Float64,  # nats
        "probability_sum": pl.Float64,
        "rank_sum": pl.Float64,
        "rank50_sum": pl.Float64,
        "rank100_sum": pl.Float64,
        "rank500_sum": pl.Float64,
        "entropy_sum": pl.Float64,
        "squared_probability_sum": pl.Float64,  # of the next-token distribution
        "prompt_tokens": pl.Int64,
        "prompt_nll_sum": pl.Float64,
        "steps": pl.Int64,
        "head1_tokens": pl.Int64,
        "head1_nll_sum": pl.Float64,
        "head2_tokens": pl.Int64,
        "head2_nll_sum": pl.Float64,
        "unconditional_tokens": pl.Int64,
        "unconditional_nll_sum": pl.Float64,
        "error": pl.String,  # why nothing could be scored
    },
)

CAR_TABLE = Table(
    name="car_table",
    row="one teacher for one base; a teacher that cannot be ranked has a null CAR and says what is missing",
    partition_by=(),
    key=("base", "teacher"),
    row_schema={
        "base": pl.String,
        "teacher": pl.String,
        "rank": pl.Int64,
        "rank_low": pl.Int64,
        "rank_high": pl.Int64,
        "car": pl.Float64,
        "car_low": pl.Float64,
        "car_high": pl.Float64,
        "mean_reward": pl.Float64,
        "mean_loss": pl.Float64,
        "instructions": pl.Int64,  # that the means are taken over
        "available": pl.Int64,  # instructions of this teacher that have both a reward and a loss
        "expected": pl.Int64,  # instructions of the study
        "without_response": pl.Int64,
        "without_reward": pl.Int64,
        "without_loss": pl.Int64,
        "tokens_scored": pl.Float64,  # share of the response tokens that fit into the base's context
        "missing": pl.String,
        "reward_model": pl.String,
        "beta": pl.Float64,
        "form": pl.String,
    },
)

CAR_BETA_SWEEP = Table(
    name="car_beta_sweep",
    row="one teacher for one base at one β",
    partition_by=(),
    key=("base", "teacher", "beta"),
    row_schema={
        "base": pl.String,
        "teacher": pl.String,
        "beta": pl.Float64,
        "car": pl.Float64,
        "rank": pl.Int64,
    },
)

SELECTED_SUBSET = Table(
    name="selected_subset",
    row="one response chosen for tuning, with why",
    partition_by=("recipe",),
    key=("response_id",),
    row_schema={
        "response_id": pl.String,
        "instruction_id": pl.String,
        "teacher": pl.String,
        "sample": pl.Int32,
        "value": pl.Float64,
        "why": pl.String,
    },
)
