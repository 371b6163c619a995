"""The ranking by each of the study's reward models, and their rank correlations. CAR uses one of them."""

import logging
from itertools import combinations

import polars as pl

from preceptor.current.rows import rewards_fingerprint
from preceptor.lake.warehouse import Warehouse
from preceptor.report.words import listed
from preceptor.statistics.correlation import kendall, spearman
from preceptor.study.schema import RewardMap, Study
from preceptor.suitability.metrics import car_metric
from preceptor.suitability.reward_map import SIGMOID

log = logging.getLogger(__name__)
MEANS = {
    "reward_model_index": pl.Int32,
    **dict.fromkeys(("base", "teacher"), pl.String),
    "instructions": pl.Int64,
    **dict.fromkeys(("reward", "squashed", "loss", "scatter"), pl.Float64),
}
CORRELATIONS = {
    **dict.fromkeys(("first", "second", "base"), pl.String),
    "teachers": pl.Int64,
    **dict.fromkeys(("rho_car", "tau_car", "rho_reward", "rho_responses"), pl.Float64),
    **dict.fromkeys(("responses", "instructions"), pl.Int64),
}


def reward_means(warehouse: Warehouse, study: Study) -> pl.DataFrame:
    """Rows of sql/report/reward_means.sql, from a warehouse with register_current's views.

    Registers the view `rewards_of_study`. A reward model that cannot be found gets no rows and a log warning.
    """
    rows = []
    for index, model in enumerate(study.reward_models):
        for teacher in study.teachers:
            try:
                fingerprint = rewards_fingerprint(model, teacher.name)
            except (ValueError, OSError) as error:
                log.warning("the report leaves out reward model %s: %s", model.name, error)
                break
            rows.append((model.name, index, teacher.name, fingerprint))
    columns = {"reward_model": pl.String, "reward_model_index": pl.Int32, "teacher": pl.String}
    known = pl.DataFrame(rows, schema={**columns, "fingerprint": pl.String}, orient="row")
    warehouse.register("study_rewards", known)
    warehouse.view("rewards_of_study", "report/rewards_of_study")
    warehouse.add_columns("mapped_rewards", "rewards_of_study", {"squashed": SIGMOID})
    return warehouse.query("report/reward_means", rows=study.car.rows).cast(MEANS)  # type: ignore[arg-type]


def mapped(means: pl.DataFrame, reward_map: RewardMap) -> pl.Series:
    """The mean of mapped rewards. For an affine map this equals the map of the mean."""
    if reward_map.kind == "sigmoid":
        return means["squashed"]
    shift, scale = (reward_map.shift, reward_map.scale) if reward_map.kind == "affine" else (0.0, 1.0)
    return means["reward"] * scale + shift


def reward_rankings(means: pl.DataFrame, study: Study) -> pl.DataFrame:
    """A row per reward model, base and teacher: mean mapped reward, CAR, and rank by CAR.

    All use the study's map and β. If one of a model's means is not positive, its CARs would mislead and are
    null.
    """
    names = [model.name for model in study.reward_models]
    model = pl.col("reward_model_index").replace_strict(names_by_index(names), return_dtype=pl.String)
    rewards = mapped(means, study.car.reward_map)
    metric = car_metric(study.car.form)
    values = metric.of_means(rewards.to_numpy(), means["loss"].to_numpy(), study.car.beta)
    group = ["reward_model", "base"]
    rows = means.with_columns(
        reward_model=model, mean_reward=rewards, car=pl.Series(values, dtype=pl.Float64)
    )
    usable = pl.when((pl.col("mean_reward") > 0).all().over(group)).then("car")
    return (
        rows.with_columns(car=usable)
        .with_columns(rank=pl.col("car").round(12).rank("min", descending=True).over(group).cast(pl.Int64))
        .select(
            *group, "teacher", "rank", "car", "mean_reward", mean_loss="loss", instructions="instructions"
        )
    )


def names_by_index(names: list[str]) -> dict[int, str]:
    """Names by their position in the study, as rows store it."""
    return dict(enumerate(names))


def reward_correlations(warehouse: Warehouse, study: Study, rankings: pl.DataFrame) -> pl.DataFrame:
    """A row per base and pair of reward models: their rank correlations.

    Over teachers: ρ and Kendall's τ of CAR, and ρ of mean rewards. `rho_responses` is over the responses to
    the same instruction (sql/report/reward_correlation.sql).
    """
    if len(study.reward_models) < 2:
        return pl.DataFrame(schema=CORRELATIONS)
    names = [model.name for model in study.reward_models]
    within = {
        (names[row["first_index"]], names[row["second_index"]]): row
        for row in warehouse.query("report/reward_correlation").to_dicts()
    }
    rows = [
        _correlation(pair, base.name, rankings, within.get(pair, {}))
        for pair in combinations(names, 2)
        for base in study.bases
    ]
    return pl.DataFrame(rows, schema=CORRELATIONS)


def _correlation(
    pair: tuple[str, str], base: str, rankings: pl.DataFrame, within: dict[str, object]
) -> dict[str, object]:
    one, other = (rankings.filter(reward_model=name, base=base) for name in pair)
    both = one.join(other, on="teacher", suffix="_other", maintain_order="left")
    ranked = both.drop_nulls(["car", "car_other"])
    return {
        "first": pair[0],
        "second": pair[1],
        "base": base,
        "teachers": both.height,
        "rho_car": spearman(ranked["car"].to_list(), ranked["car_other"].to_list()),
        "tau_car": kendall(ranked["car"].to_list(), ranked["car_other"].to_list()),
        "rho_reward": spearman(both["mean_reward"].to_list(), both["mean_reward_other"].to_list()),
        "rho_responses": within.get("rho"),
        "responses": within.get("responses"),
        "instructions": within.get("instructions"),
    }


def reward_model_sentences(study: Study, rankings: pl.DataFrame, correlations: pl.DataFrame) -> list[str]:
    """A sentence per base and other reward model: its first teacher, and its correlation with CAR's model."""
    own, found = study.car_reward_model, []
    for base in study.bases:
        first = _first(rankings, own, base.name)
        for model in study.reward_models:
            if model.name == own or not first:
                continue
            theirs = _first(rankings, model.name, base.name)
            subject = f"{base.name}, with {model.name} instead of {own}"
            if not theirs:
                found.append(f"{subject}: no ranking, because it has no rewards or a mean is not positive")
                continue
            same = "stays first" if theirs == first else f"is not first; {listed(theirs)} is"
            pair = pl.concat(
                [correlations.filter(base=base.name, first=a, second=b) for a, b in _both(own, model.name)]
            )
            found.append(f"{subject}: {listed(first)} {same}{_in_numbers(pair.to_dicts())}")
    return found


def _both(one: str, other: str) -> list[tuple[str, str]]:
    return [(one, other), (other, one)]


def _first(rankings: pl.DataFrame, model: str, base: str) -> list[str]:
    return rankings.filter(reward_model=model, base=base, rank=1)["teacher"].to_list()


def _in_numbers(rows: list[dict[str, float | None]]) -> str:
    """The rank correlations in numbers, without tests."""
    if not rows:
        return ""
    parts = [
        f"{name} {rows[0][column]:.2f}"
        for column, name in (
            ("rho_car", "ρ of CAR over teachers"),
            ("tau_car", "Kendall's τ"),
            ("rho_responses", "ρ over responses to the same instruction"),
        )
        if rows[0][column] is not None
    ]
    return f" ({', '.join(parts)})" if parts else ""
