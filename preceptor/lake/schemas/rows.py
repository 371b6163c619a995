"""Tables of instructions, of the teachers' responses, and of each response's rewards and losses."""

import polars as pl

from preceptor.lake.schemas.table import TEXTS, Derived, Table

# ASCII's blanks are listed, since \\s means different characters in Polars and DuckDB.
SEEN = r"[^\t\n\f\r \pZ]"

RAW_INSTRUCTIONS = Table(
    name="raw_instructions",
    row="one instruction: system prompt and user turns",
    partition_by=(),
    key=("instruction_id",),
    columns={
        "instruction_id": (pl.String, "hash of the conversation's text"),
        "source": (pl.String, "the source that it was taken from"),
        "source_ids": (TEXTS, "its ids in the sources, including those of exact duplicates"),
        "place": (pl.String, "file and line"),
        "system": (pl.String, "system prompt, or null"),
        "turns": (TEXTS, "user turns"),
        "answer": (pl.String, "the correct answer, if the source has one"),
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
        "source_id": (pl.String, "the id that joined a recording to the instruction; null otherwise"),
        "prompt_hash": (pl.String, "hash of the exact conversation answered"),
        "sample": (pl.Int32, "0, 1, … if a teacher answers several times"),
        "turns": (TEXTS, "assistant turns, one per user turn"),
        "finish_reason": (
            pl.String,
            "stop, or length if a turn was cut; null if the recording does not say",
        ),
        "prompt_tokens": (pl.Int64, "in the teacher's tokens; null if the recording does not say"),
        "response_tokens": (pl.Int64, "in the teacher's tokens, including the end token"),
        "error": (pl.String, "why there is no usable response; null for a good row"),
    },
    derived={
        "characters": Derived(
            pl.Int64,
            "number of characters in all turns; null without a turn",
            pl.when(pl.col("turns").list.drop_nulls().list.len() > 0).then(
                pl.col("turns").list.eval(pl.element().str.len_chars().cast(pl.Int64)).list.sum()
            ),
            "list_sum([length(turn) FOR turn IN turns])::BIGINT",
        ),
        "blank": Derived(
            pl.Boolean,
            "whether all turns consist of blanks and line ends only",
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
        "reward": (pl.Float64, "never NaN; null if scoring failed or the score is missing"),
        "error": (pl.String, "why scoring failed; also null if a recording has no score"),
    },
)

BASE_LOSSES = Table(
    name="base_losses",
    row="one response scored by a base model: sums over its scored tokens, given the instruction",
    partition_by=("base", "teacher"),
    key=("response_id",),
    columns={
        "response_id": (pl.String, "the response scored"),
        "instruction_id": (pl.String, "the instruction answered"),
        "sample": (pl.Int32, "which sample of the teacher"),
        "response_tokens": (pl.Int64, "in the base's tokens, before truncation"),
        "tokens": (pl.Int64, "number of response tokens scored"),
        "nll_sum": (pl.Float64, "negative log-likelihood of the response tokens, nats"),
        "probability_sum": (pl.Float64, "probabilities of the response tokens"),
        "rank_sum": (pl.Float64, "ranks of the response tokens; rank 1 is the most likely token"),
        "rank50_sum": (pl.Float64, "ranks clipped at 50"),
        "rank100_sum": (pl.Float64, "ranks clipped at 100"),
        "rank500_sum": (pl.Float64, "ranks clipped at 500"),
        "entropy_sum": (pl.Float64, "entropies of the next-token distributions, nats"),
        "squared_probability_sum": (pl.Float64, "squared probabilities of the next-token distributions"),
        "prompt_tokens": (pl.Int64, "number of tokens scored before the first response token"),
        "prompt_nll_sum": (pl.Float64, "negative log-likelihood of the prompt tokens, nats"),
        "steps": (pl.Int64, "number of steps; one begins with the response and after each '. ' or '? '"),
        "head1_tokens": (pl.Int64, "number of first tokens of steps"),
        "head1_nll_sum": (pl.Float64, "negative log-likelihood of the first token of each step, nats"),
        "head2_tokens": (pl.Int64, "number of tokens among the first two of each step"),
        "head2_nll_sum": (pl.Float64, "negative log-likelihood of the first two tokens of each step, nats"),
        "unconditional_tokens": (pl.Int64, "number of response tokens scored after BOS alone"),
        "unconditional_nll_sum": (pl.Float64, "their negative log-likelihood without the instruction, nats"),
        "error": (pl.String, "why nothing could be scored"),
    },
)
