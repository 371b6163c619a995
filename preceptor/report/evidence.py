"""The data behind the report: frames of current rows, aggregated in SQL and read once."""

from dataclasses import dataclass

import polars as pl

from preceptor.lake.warehouse import Warehouse
from preceptor.report.first_under import first_under
from preceptor.report.judge_agreement import judge_agreements
from preceptor.report.predicted import predicted_actual, rank_correlations, teacher_means
from preceptor.report.reward_check import RewardCheck, check_reward
from preceptor.report.reward_models import reward_correlations, reward_means, reward_rankings
from preceptor.report.seeds import NAME as SEED_DIFFERENCES
from preceptor.study.schema import Study


@dataclass(frozen=True)
class Evidence:
    """One frame per statement in sql/report, and frames computed from them."""

    ranking: pl.DataFrame
    suitability: pl.DataFrame  # by every metric
    sweep: pl.DataFrame
    means: pl.DataFrame  # main metric by base, benchmark and teacher
    rank_correlations: pl.DataFrame
    scores: pl.DataFrame
    differences: pl.DataFrame  # between two runs of a base
    seeds: pl.DataFrame  # between two teachers of a base, over their training seeds
    judge_agreements: pl.DataFrame  # between two judges of the same answers
    tasks: pl.DataFrame
    checkpoints: pl.DataFrame
    selections: pl.DataFrame
    spreads: pl.DataFrame
    failures: pl.DataFrame
    first_under: pl.DataFrame  # the first teacher by CAR under other reward maps and β
    reward_rankings: pl.DataFrame  # by each of the study's reward models
    reward_correlations: pl.DataFrame  # between two reward models
    instructions: int
    reward_check: RewardCheck


def gather(warehouse: Warehouse, study: Study) -> Evidence:
    """Everything that the report shows, from a warehouse with every table of the lake; some may be empty.

    Raises ValueError for a model whose revision cannot be looked up.
    """
    predicted = predicted_actual(warehouse, study)
    suitability = warehouse.query("report/suitability")
    recipes = [recipe.name for recipe in study.recipes]
    ranking, means = warehouse.query("report/ranking"), reward_means(warehouse, study)
    own = [model.name for model in study.reward_models].index(study.car_reward_model)
    rankings = reward_rankings(means, study)
    return Evidence(
        ranking=ranking,
        suitability=suitability,
        sweep=warehouse.query("report/sweep"),
        means=teacher_means(predicted),
        rank_correlations=rank_correlations(predicted, suitability, study.car.form),
        scores=warehouse.query("report/scores"),
        differences=warehouse.query("report/differences"),
        seeds=warehouse.rows(SEED_DIFFERENCES),
        judge_agreements=judge_agreements(warehouse, study),
        tasks=warehouse.query("report/tasks"),
        checkpoints=warehouse.query("report/checkpoints"),
        selections=warehouse.query("report/selections").filter(pl.col("recipe").is_in(recipes)),
        spreads=warehouse.query("report/spreads"),
        failures=warehouse.query("report/failures"),
        first_under=first_under(means.filter(reward_model_index=own), ranking, study),
        reward_rankings=rankings,
        reward_correlations=reward_correlations(warehouse, study, rankings),
        instructions=int(warehouse.query("report/instruction_count").item()),
        reward_check=check_reward(warehouse),
    )
