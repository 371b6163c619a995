"""The code version of each asset: the versions of its steps, which its fingerprints also include.

When a version rises, Dagster's UI marks the asset as outdated until it is materialized again. Each kind of
benchmark also has a version for how it judges; these are in the fingerprints only.
"""

from preceptor.evaluation import responses as answers
from preceptor.evaluation import results, scores
from preceptor.instructions import collect
from preceptor.losses import score as losses
from preceptor.report import publish
from preceptor.responses import generate
from preceptor.responses import recorded as recordings
from preceptor.rewards import recorded, score, score_file
from preceptor.rewards.judge import JUDGE_VERSION
from preceptor.selection import recipes
from preceptor.suitability import table
from preceptor.tuning import task, untuned


def _version(**steps: int) -> str:
    return ", ".join(f"{step} {version}" for step, version in steps.items())


_evaluated = {"answers": answers.VERSION, "results": results.VERSION, "scores": scores.VERSION}

CODE_VERSIONS = {
    "raw_instructions": _version(collect=collect.VERSION),
    "responses": _version(generate=generate.VERSION, recorded=recordings.VERSION),
    "rewards": _version(
        model=score.VERSION, judge=JUDGE_VERSION, recorded=recorded.VERSION, file=score_file.VERSION
    ),
    "base_losses": _version(losses=losses.VERSION),
    "car_table": _version(ranking=table.VERSION),
    "car_beta_sweep": _version(sweep=table.SWEEP_VERSION),
    "suitability": _version(metrics=table.SUITABILITY_VERSION),
    "selected_subset": _version(recipes=recipes.VERSION),
    "tuned_checkpoint": _version(training=task.VERSION),
    "base_results": _version(untuned=untuned.VERSION, **_evaluated),
    "eval_results": _version(**_evaluated),
    "study_report": _version(report=publish.VERSION),
}
