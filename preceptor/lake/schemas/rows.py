"""What was asked, what teachers answered, and what reward models and bases make of each answer."""

import polars as pl

from preceptor.lake.schemas.table import TEXTS, Derived, Table

# The blanks of ASCII by name: what \\s stands for, Polars and DuckDB do not agree on.
SEEN = r"[^\t\n\f\r \pZ]"

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
