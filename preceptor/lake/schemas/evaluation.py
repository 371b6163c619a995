"""What tuned models answer, how it is judged and scored, and how scores compare with predictions."""

import polars as pl

from preceptor.lake.schemas.table import TEXTS, Table

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
        "outcome": (
            pl.Float64,
            "of the response: 0 to 1 in a comparison, else its grade; null with an error",
        ),
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
