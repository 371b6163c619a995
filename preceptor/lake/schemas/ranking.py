"""Tables of the teachers' rankings, of the recipes' selections, and of the tuned models."""

import polars as pl

from preceptor.lake.schemas.table import Table

CAR_TABLE = Table(
    name="car_table",
    row="one teacher for one base; without a ranking, car is null and `missing` says why",
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
        "mean_reward": (pl.Float64, "r, the mean of mapped rewards"),
        "mean_loss": (pl.Float64, "L, nats per token"),
        "instructions": (pl.Int64, "number of instructions in the means"),
        "available": (pl.Int64, "instructions for which this teacher has both a reward and a loss"),
        "expected": (pl.Int64, "instructions of the study"),
        "without_response": (pl.Int64, "number of instructions without a response"),
        "without_reward": (pl.Int64, "number of responses without a reward"),
        "without_loss": (pl.Int64, "number of responses without a loss"),
        "tokens_scored": (pl.Float64, "share of the response tokens that fit into the base's context"),
        "missing": (pl.String, "why the teacher is not ranked; null if it is"),
        "reward_model": (pl.String, "the reward model that r comes from"),
        "beta": (pl.Float64, "weight of the loss"),
        "form": (pl.String, "ratio or product"),
    },
)

SUITABILITY = Table(
    name="suitability",
    row="one teacher for one base by one metric; without a value, `missing` says why",
    partition_by=(),
    key=("base", "teacher", "metric"),
    columns={
        "base": (pl.String, "base model"),
        "teacher": (pl.String, "teacher"),
        "metric": (pl.String, "car, mean_loss, ifd, …: docs/metrics.md describes each"),
        "value": (pl.Float64, "the teacher's value, from means over its instructions"),
        "low": (pl.Float64, "lower end of its interval; all metrics share their resamples"),
        "high": (pl.Float64, "upper end"),
        "rank": (pl.Int64, "1 is the best by this metric"),
        "rank_low": (pl.Int64, "best rank that the data allow, jointly over all teachers"),
        "rank_high": (pl.Int64, "worst rank that the data allow"),
        "better": (pl.String, "whether higher or lower values are better"),
        "beta": (pl.Float64, "weight of the loss; null for a metric without one"),
        "instructions": (pl.Int64, "number of instructions in the means"),
        "missing": (pl.String, "why there is no value; null if there is one"),
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
        "car_low": (pl.Float64, "lower end of its interval, from the resamples of the CAR table"),
        "car_high": (pl.Float64, "upper end"),
        "rank_low": (pl.Int64, "best rank that the data allow at this β"),
        "rank_high": (pl.Int64, "worst rank that the data allow"),
    },
)

SELECTED_SUBSET = Table(
    name="selected_subset",
    row="one response chosen for tuning, with the reason",
    partition_by=("recipe",),
    key=("response_id",),
    columns={
        "response_id": (pl.String, "the response chosen"),
        "instruction_id": (pl.String, "the instruction it answers"),
        "teacher": (pl.String, "the teacher who gave the response"),
        "sample": (pl.Int32, "which sample of the teacher"),
        "value": (pl.Float64, "the number that it was chosen by; null if it was not chosen by a number"),
        "why": (pl.String, "the reason in words"),
        "cut_left_out": (
            pl.Int64,
            "of the whole recipe: responses left out because they were cut at the token limit",
        ),
        "above_one_left_out": (
            pl.Int64,
            "of the whole recipe: responses left out because their IFD is above 1",
        ),
    },
)

TUNED_CHECKPOINT = Table(
    name="tuned_checkpoint",
    row="one tuned model: its folder, what it was tuned on, and its loss curve",
    partition_by=("run",),
    key=("uri",),
    columns={
        "base": (pl.String, "base model"),
        "recipe": (pl.String, "the recipe whose rows it was tuned on"),
        "tuning": (pl.String, "the study's name for the hyper-parameters"),
        "seed": (pl.Int64, "seed of the data order and of new weights"),
        "rows": (pl.Int64, "number of rows tuned on"),
        "truncated_rows": (pl.Int64, "number of these rows that were too long and lost their end"),
        "failed_rows": (pl.Int64, "number of chosen rows left out; the manifest lists them with reasons"),
        "tokens": (pl.Int64, "response tokens per epoch"),
        "steps": (pl.Int64, "optimizer steps"),
        "final_loss": (pl.Float64, "mean over the last epoch's logged steps, nats per token"),
        "loss_steps": (pl.List(pl.Int64), "steps at which the loss was logged"),
        "losses": (pl.List(pl.Float64), "training loss at these steps"),
        "uri": (pl.String, "folder of safetensors, tokenizer and manifest.json"),
        "manifest": (pl.String, "the text of manifest.json"),
    },
)
