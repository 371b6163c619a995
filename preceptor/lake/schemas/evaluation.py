"""Tables of the tuned models' answers, of their judgments and scores, and of predictions against scores."""

import polars as pl

from preceptor.lake.schemas.table import TEXTS, Table

STUDENT_RESPONSES = Table(
    name="student_responses",
    row="one answer of a tuned model to an evaluation's instruction",
    partition_by=("run", "items"),  # items: hash of instructions and sampling, shared by benchmarks
    key=("item_id", "sample"),
    columns={
        "item_id": (pl.String, "hash of the exact instruction"),
        "sample": (pl.Int32, "0, 1, … if an item is answered several times"),
        "turns": (TEXTS, "the tuned model's turns"),
        "finish_reason": (pl.String, "stop or length"),
        "prompt_tokens": (pl.Int64, "in the tuned model's tokens"),
        "response_tokens": (pl.Int64, "in the tuned model's tokens, including the end token"),
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
        "shown": (pl.String, "what the judge saw first: response_first, reference_first, or alone"),
        "draw": (pl.Int32, "0, 1, … if the judge is asked the same question several times"),
        "judge": (pl.String, "the judge model and where it runs"),
        "prompt_hash": (pl.String, "hash of the exact messages"),
        "raw": (pl.String, "the judge's reply or its token probabilities; null if it was not asked"),
        "verdict": (pl.String, "the verdict parsed from the reply"),
        "outcome": (
            pl.Float64,
            "the response's outcome: 0 to 1 in a pairwise comparison, else its grade; null with an error",
        ),
        "prompt_tokens": (pl.Int64, "tokens read, as the judge reports them"),
        "response_tokens": (pl.Int64, "tokens written, as the judge reports them"),
        "price": (pl.Float64, "price of this reply by the study's prices; null if one is missing"),
        "filtered": (pl.String, "why the judge's provider withheld a verdict; null otherwise"),
        "error": (pl.String, "why there is no verdict, filtered or failed"),
    },
)

MEASURES = pl.List(pl.Struct({"name": pl.String, "value": pl.Float64}))

EVAL_RESULTS = Table(
    name="eval_results",
    row="one answer of a tuned model to an item of a benchmark, with its outcome",
    partition_by=("run", "benchmark"),
    key=("item_id", "sample"),
    columns={
        "item_id": (pl.String, "hash of the exact instruction"),
        "sample": (pl.Int32, "0, 1, … if an item is answered several times"),
        "instruction": (TEXTS, "user turns"),
        "task": (pl.String, "the kind of item, if the file names it"),
        "response": (TEXTS, "the tuned model's turns"),
        "reference": (pl.String, "the correct answer, or the reference model's response"),
        "outcome": (
            pl.Float64,
            "in the benchmark's unit: correct or not, the probability of winning, a grade, a loss; null"
            " with an error",
        ),
        "score": (pl.Float64, "the judge's score of the response"),
        "reference_score": (pl.Float64, "the judge's score of the reference"),
        "measures": (MEASURES, "other measurements, by name"),
        "why": (pl.String, "the checker's reason for the outcome, if it gives one"),
        "response_tokens": (pl.Int64, "in the tuned model's tokens, including the end token"),
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
        "metric": (pl.String, "accuracy, win_rate, lc_win_rate, …; the first row is the main metric"),
        "category": (pl.String, "the kind of items that it covers; empty for all items"),
        "value": (pl.Float64, "the metric, in its unit"),
        "low": (pl.Float64, "lower end of the 95 % interval"),
        "high": (pl.Float64, "upper end"),
        "unit": (pl.String, "share (0 to 1), grade, nats per token, perplexity, bias (-1 to 1)"),
        "n": (pl.Int64, "number of items that it covers"),
        "expected": (pl.Int64, "answers that the benchmark asks for: judged, failed and filtered ones"),
        "judged": (pl.Int64, "answers with an outcome"),
        "failed": (pl.Int64, "answers that should have an outcome but have none"),
        "filtered": (pl.Int64, "answers left out on purpose, each with a reason"),
        "method": (pl.String, "the formula of value and interval"),
        "judge": (pl.String, "identity of the judge model; null if a program checks the answers"),
        "reference": (pl.String, "the model whose responses it is compared with"),
        "error": (pl.String, "why there is no value"),
    },
)

EVAL_DIFFERENCES = Table(
    name="eval_differences",
    row="two runs, or a run and its untuned base, compared item by item on one benchmark",
    partition_by=(),
    key=("benchmark", "first_run", "second_run"),
    columns={
        "benchmark": (pl.String, "benchmark"),
        "base": (pl.String, "the base model of both"),
        "first_run": (pl.String, "the first run"),
        "second_run": (pl.String, "the second run"),
        "untuned": (pl.Boolean, "whether the second is the untuned base"),
        "metric": (
            pl.String,
            "the metric tested: the benchmark's main metric, with its category if it has one",
        ),
        "difference": (pl.Float64, "the metric of the first minus that of the second, over common items"),
        "low": (pl.Float64, "lower end of the 95 % interval"),
        "high": (pl.Float64, "upper end"),
        "p_value": (pl.Float64, "two-sided, paired by item"),
        "p_adjusted": (
            pl.Float64,
            "Holm-adjusted p-value over the base's pairs of runs on the benchmark; pairs with the untuned"
            " base are a separate family",
        ),
        "n": (pl.Int64, "items with an outcome for both"),
        "left_out": (pl.Int64, "items with an outcome for only one"),
        "method": (pl.String, "the test and the interval"),
        "error": (pl.String, "why there is no difference"),
    },
)

PREDICTED_ACTUAL = Table(
    name="predicted_actual",
    row="one run tuned on one teacher's rows: predictions from before tuning, and the actual score",
    partition_by=(),
    key=("run", "benchmark", "metric"),
    columns={
        "base": (pl.String, "base model"),
        "teacher": (pl.String, "the teacher whose rows the run was tuned on"),
        "style": (pl.String, "what the teacher shares with others (a style, a parent model, …), or null"),
        "run": (pl.String, "run"),
        "benchmark": (pl.String, "benchmark"),
        "metric": (pl.String, "metric; with its category if a benchmark's categories are not pooled"),
        "main": (pl.Boolean, "whether this is the benchmark's main metric"),
        "value": (pl.Float64, "the actual score, in the metric's unit"),
        "unit": (pl.String, "share, grade, nats per token, perplexity"),
        "higher_is_better": (pl.Boolean, "false for a loss"),
        "low": (pl.Float64, "lower end of its 95 % interval"),
        "high": (pl.Float64, "upper end"),
        "n": (pl.Int64, "items"),
        "car": (pl.Float64, "the prediction: Compatibility-Adjusted Reward"),
        "car_rank": (pl.Int64, "its rank among the base's teachers"),
        "mean_reward": (pl.Float64, "r alone"),
        "mean_loss": (pl.Float64, "L alone, nats per token"),
        "mean_characters": (pl.Float64, "mean length of the teacher's responses"),
        "differs": (
            pl.Boolean,
            "whether the run differs from its untuned base in the main metric by more than chance",
        ),
        "doubt": (pl.String, "why the run may have learned little or nothing; null without such a sign"),
    },
)
