"""Values per item: their mean equals the kind's metric, and tests on them keep their level."""

import numpy as np
import polars as pl
import pytest
from scipy.special import expit
from scipy.stats import binom

from preceptor.evaluation.arena_hard.fit import style_controlled_win_rates, win_rates
from preceptor.evaluation.arena_hard.influence import style_controlled_values, win_rate_values
from preceptor.evaluation.arena_hard.intervals import Bootstrap
from preceptor.evaluation.held_out.benchmark import stored_losses
from preceptor.evaluation.held_out.loss import loss_estimates
from preceptor.evaluation.held_out.ranking import ranking_estimates
from preceptor.evaluation.held_out.ranking_benchmark import stored_ranks
from preceptor.evaluation.humaneval.passing import mean_pass_at_k
from preceptor.evaluation.item_values import StoredRuns
from preceptor.evaluation.kind import kind_of
from preceptor.evaluation.lm_eval.benchmark import preset_of
from preceptor.evaluation.lm_eval.responses import ItemResult
from preceptor.evaluation.lm_eval.scores import aggregate
from preceptor.evaluation.pairwise.difficulty import Difficulty
from preceptor.evaluation.pairwise.length_control import length_controlled, length_controlled_values
from preceptor.lake.schemas import EVAL_RESULTS, JUDGMENTS
from preceptor.statistics.differences import sign_flip_tests
from tests.study.test_evaluations import GOOD, study

N = 40


def rows(values: dict[str, list[dict]], benchmark: str = "x") -> pl.DataFrame:
    """Rows of `eval_results` by run, from dictionaries with some of the columns."""
    given = [
        {"run": run, "benchmark": benchmark, "item_id": f"i{number}", "sample": 0, **row}
        for run, of_run in values.items()
        for number, row in enumerate(of_run)
    ]
    return pl.DataFrame(given, schema=EVAL_RESULTS.schema)


def measured(**values: float) -> list[dict]:
    return [{"name": name, "value": value} for name, value in values.items()]


def declared(tmp_path, kind: str, **settings):
    (evaluation,) = study(tmp_path, f"name: x, {GOOD[kind]}").evaluations
    return evaluation.model_copy(update=settings)


def mean_value(evaluation, results, metric=None) -> float:
    runs = StoredRuns(None, evaluation, results, JUDGMENTS.schema.to_frame())
    found = kind_of(evaluation).values(runs, metric or evaluation.metric, "")
    assert set(found.values["run"]) == {"a"}
    return float(found.values["value"].mean())


@pytest.fixture
def dice():
    return np.random.default_rng(4)


def test_values_of_programs_are_pass_at_k(tmp_path, dice):
    evaluation = declared(tmp_path, "code", k=3)
    passes = [[float(dice.random() < 0.3) for _ in range(5)] for _ in range(N)]
    results = pl.concat(
        [rows({"a": [{"sample": sample, "outcome": each[sample]} for each in passes]}) for sample in range(5)]
    )
    expected = mean_pass_at_k([(5, int(sum(each))) for each in passes], 3).value
    assert mean_value(evaluation, results) == pytest.approx(expected)
    assert expected != pytest.approx(np.mean(passes), abs=0.1)  # the mean of raw outcomes


def test_a_mean_over_tasks_weighs_tasks_equally_whatever_their_items(tmp_path, dice):
    evaluation = declared(tmp_path, "gsm8k", preset="bbh")
    preset = preset_of(evaluation)
    tasks = [preset.tasks[min(n // 4, len(preset.tasks) - 1)].name for n in range(150)]
    outcomes = [float(dice.random() < (0.9 if task == tasks[-1] else 0.2)) for task in tasks]
    items = [
        ItemResult(f"i{n}", task, (), "", "", {}, outcome, None)
        for n, (task, outcome) in enumerate(zip(tasks, outcomes, strict=True))
    ]
    results = rows({"a": [{"task": t, "outcome": o} for t, o in zip(tasks, outcomes, strict=True)]})
    expected = aggregate(preset, items).value
    assert mean_value(evaluation, results) == pytest.approx(expected)
    assert expected != pytest.approx(np.mean(outcomes), abs=0.1)


def test_shares_of_pairs_and_perplexity_are_ratios_of_sums(tmp_path, dice):
    given = [
        {
            "outcome": float(share),
            "measures": measured(
                normalised=share, normalised_pairs=float(pairs), nll_sum=tokens * nll, tokens=float(tokens)
            )
            + measured(mean_nll=nll, truncated=0.0, failed_pairs=0.0, truncated_pairs=0.0),
        }
        for share, pairs, tokens, nll in zip(
            dice.random(N), dice.integers(1, 6, N), dice.integers(1, 90, N), dice.random(N) * 3, strict=True
        )
    ]
    results = rows({"a": given})
    ranking = ranking_estimates(stored_ranks(results, ""))["normalised"].estimate.value
    assert mean_value(declared(tmp_path, "ranking"), results) == pytest.approx(ranking)
    perplexity = loss_estimates(stored_losses(results)).metrics["perplexity"].value
    assert mean_value(declared(tmp_path, "loss", metric="perplexity"), results) == pytest.approx(perplexity)
    assert mean_value(declared(tmp_path, "loss"), results) == pytest.approx(results["outcome"].mean())


def test_a_tie_in_human_ratings_is_half_an_outcome_and_not_a_win(tmp_path):
    evaluation = declared(tmp_path, "people", scale="verdict", reference="r")
    rated = [("win", 1.0), ("tie", 0.5), ("lose", 0.0), ("tie", 0.5)]
    results = rows({"a": [{"outcome": worth, "measures": measured(**{word: 1.0})} for word, worth in rated]})
    assert mean_value(evaluation, results) == 0.25


def battles(dice, strengths: dict[str, float], lengths: dict[str, float], favour=0.0, n=60) -> pl.DataFrame:
    """Two games for each question, by a judge that may prefer long answers (`favour`)."""
    games = []
    hardness = dice.normal(0, 1, n)
    for run, strength in strengths.items():
        for item in range(n):
            tokens = max(1.0, float(round(dice.normal(lengths[run], 8))))
            liking = strength + hardness[item] + favour * (tokens - 40) / 20
            for _ in range(2):
                won = float(dice.random() < expit(liking))
                far = 3.0 if dice.random() < 0.4 else 1.0
                style = dict.fromkeys(("headers", "lists", "bold"), 0.0)
                games.append(
                    {"model": run, "item_id": f"i{item:03}", "category": "", "outcome": won, "weight": far}
                    | {"tokens": tokens, "baseline_tokens": 40.0, **style}
                    | {f"baseline_{name}": 0.0 for name in style}
                )
    return pl.DataFrame(games)


def test_means_of_arena_hards_values_equal_its_weighted_and_joint_fits(dice):
    games = battles(dice, {"a": 0.5, "b": -0.3}, {"a": 50, "b": 35}, favour=1.0)
    once = Bootstrap(resamples=1)
    for values, fitted in (
        (win_rate_values(games), win_rates(games, once)),
        (style_controlled_values(games, "v2.0"), style_controlled_win_rates(games, "v2.0", once).win_rates),
    ):
        means = dict(values.group_by("run").agg(pl.col("value").mean()).iter_rows())
        assert means == pytest.approx(dict(fitted.select("model", "value").iter_rows()))


def z(first, second) -> float:
    """The mean difference of the items' values in standard errors."""
    apart = first - second
    return apart.mean() / (apart.std(ddof=1) / np.sqrt(len(apart)))


@pytest.mark.parametrize("metric", ["win_rate", "style_controlled_win_rate"])
def test_arena_hard_rarely_finds_a_difference_between_equal_runs(metric):
    """The runs are equally good at equal style. For the controlled metric, the judge prefers long answers."""
    dice, tries, found = np.random.default_rng(5), 120, 0
    favour = 0.0 if metric == "win_rate" else 1.0
    for _ in range(tries):
        games = battles(dice, {"a": 0.2, "b": 0.2}, {"a": 44, "b": 36}, favour)
        values = win_rate_values(games) if metric == "win_rate" else style_controlled_values(games, "v2.0")
        found += abs(z(*(values.filter(run=run)["value"].to_numpy() for run in "ab"))) > 1.96
    assert found <= binom.ppf(0.999, tries, 0.08)


@pytest.fixture
def difficulty(tmp_path):
    """Two gamed baselines over N instructions."""
    draw = np.random.default_rng(0)
    lines = ["model,index,preference,std_delta_len,instruction_difficulty,not_gamed_baseline"]
    hard = draw.normal(0, 1, N)
    for model, delta in (("concise", -1.0), ("verbose", 1.0)):
        for n in range(N):
            length = delta + draw.normal(0, 0.4)
            chance = expit(-1.2 * np.tanh(length) + 0.5 * hard[n])
            lines.append(f"{model},{n},{chance},{length},{hard[n]},False")
    (tmp_path / "df_gamed.csv").write_text("\n".join(lines))
    return Difficulty(tmp_path, {f"i{n}": n for n in range(N)}), hard


def duels(dice, hard, ratio: float, fondness: float, sure: float) -> pl.DataFrame:
    """A run that equals the reference at equal lengths. `fondness` is the judge's preference for length."""
    reference = dice.integers(200, 3000, N)
    characters = (reference * ratio * dice.uniform(0.5, 1.5, N)).astype(int)
    delta = reference - characters
    chance = expit(-0.4 - fondness * np.tanh(delta / delta.std(ddof=1)) + 0.5 * hard)
    outcome = dice.beta(chance * sure, (1 - chance) * sure)
    named = {"item_id": [f"i{n}" for n in range(N)], "outcome": outcome}
    return pl.DataFrame({**named, "characters": characters, "reference_characters": reference})


def test_the_mean_of_length_controls_values_equals_its_win_rate(difficulty, dice):
    known, hard = difficulty
    found = duels(dice, hard, 1.2, 1.2, 3.0)
    values = length_controlled_values(found, known)
    assert values.mean() == pytest.approx(length_controlled(found, known).value, abs=1e-9)


def test_length_control_removes_a_difference_that_only_length_explains(difficulty):
    """The judge prefers long answers, and one run is longer. Only the plain win rates differ."""
    known, hard = difficulty
    dice = np.random.default_rng(9)
    short, long = duels(dice, hard, 0.7, 1.2, 20.0), duels(dice, hard, 1.4, 1.2, 20.0)
    raw = (short["outcome"] - long["outcome"]).to_numpy()
    one, other = (length_controlled_values(rows, known) for rows in (short, long))
    of_raw, of_controlled = sign_flip_tests(np.array([raw, one - other]), 0)
    assert of_raw.p_value < 0.001 and raw.mean() < -0.1
    assert of_controlled.p_value > 0.05 and abs((one - other).mean()) < abs(raw.mean()) / 2


@pytest.mark.filterwarnings("ignore::FutureWarning:sklearn")
def test_length_control_rarely_finds_a_difference_between_equal_runs(difficulty):
    known, hard = difficulty
    dice, tries, found = np.random.default_rng(6), 12, 0
    for _ in range(tries):
        pair = [duels(dice, hard, ratio, 1.2, 3.0) for ratio in (0.9, 1.3)]
        found += abs(z(*(length_controlled_values(rows, known) for rows in pair))) > 1.96
    assert found <= binom.ppf(0.999, tries, 0.08)
