"""The length-controlled win rate against alpaca-eval itself, closed forms, and what breaks a plain fit."""

import socket
from pathlib import Path

import alpaca_eval
import numpy as np
import pandas as pd
import polars as pl
import pytest
from alpaca_eval.metrics import get_length_controlled_winrate, glm_winrate
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logit

from preceptor.evaluation.pairwise.length_control import length_controlled


def duels(outcomes, characters, references) -> pl.DataFrame:
    columns = {"outcome": outcomes, "characters": characters, "reference_characters": references}
    return pl.DataFrame(columns, schema={"outcome": pl.Float64, **dict.fromkeys([*columns][1:], pl.Int64)})


def drawn(n=300, seed=0) -> tuple[np.random.Generator, np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    references = draw.integers(50, 900, n)
    return draw, (references * draw.uniform(0.5, 2, n)).astype(int), references


def feature(characters, references) -> np.ndarray:
    delta = references - characters
    return np.tanh(delta / delta.std(ddof=1))


@pytest.fixture
def noisy() -> pl.DataFrame:
    """A judge that likes length and is not sure."""
    draw, characters, references = drawn()
    outcomes = expit(-0.8 - 1.2 * feature(characters, references) + draw.normal(0, 1.5, len(characters)))
    return duels(outcomes, characters, references)


@pytest.mark.filterwarnings("ignore::FutureWarning:sklearn")  # alpaca-eval's own call, without our wrapper
def test_it_is_alpaca_evals_own_minimal_length_control(noisy, tmp_path, monkeypatch):
    """Its entry point, with the download that it makes replaced by a file of the same columns."""
    index = range(noisy.height)
    gamed = pd.DataFrame({"model": "gamed", "index": index, "instruction_difficulty": 0.0})
    gamed.to_csv(tmp_path / "df_gamed.csv", index=False)
    monkeypatch.setattr(glm_winrate, "hf_hub_download", lambda **_: str(tmp_path / "df_gamed.csv"))
    annotations = pd.DataFrame(
        {
            "preference": 1 + noisy["outcome"].to_numpy(),
            "output_1": ["r" * n for n in noisy["reference_characters"]],
            "output_2": ["m" * n for n in noisy["characters"]],
            "generator_1": "reference",
            "generator_2": "model",
        }
    )
    theirs = get_length_controlled_winrate(annotations, "length_controlled_minimal", save_weights_dir=None)
    assert length_controlled(noisy).value == pytest.approx(
        theirs["length_controlled_winrate"] / 100, abs=1e-9
    )
    assert theirs["lc_standard_error"] == pytest.approx(0, abs=1e-9)  # hence an interval of our own


def test_it_is_the_maximum_of_the_likelihood(noisy):
    """The same optimum by scipy, without the slight penalty whose weight alpaca-eval cross-validates."""
    x = feature(noisy["characters"].to_numpy(), noisy["reference_characters"].to_numpy())
    y = noisy["outcome"].to_numpy()

    def loss(parameters):
        z = parameters[0] * x + parameters[1]
        return np.mean(np.logaddexp(0, z) - y * z)

    assert length_controlled(noisy).value == pytest.approx(expit(minimize(loss, [0, 0]).x[1]), abs=0.005)


def test_the_interval_is_that_of_a_bootstrap(noisy):
    x = feature(noisy["characters"].to_numpy(), noisy["reference_characters"].to_numpy())
    y, draw = noisy["outcome"].to_numpy(), np.random.default_rng(1)
    intercepts = []
    for _ in range(400):
        rows = draw.integers(0, len(y), len(y))
        design, parameters = np.stack([x[rows], np.ones(len(y))], 1), np.zeros(2)
        for _ in range(6):  # Newton's steps
            p = expit(design @ parameters)
            hessian = (design * (p * (1 - p))[:, None]).T @ design
            parameters = parameters + np.linalg.solve(hessian, design.T @ (y[rows] - p))
        intercepts.append(parameters[1])
    low, high = np.percentile(expit(intercepts), [2.5, 97.5])
    found = length_controlled(noisy)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.15 * (high - low))


def test_without_an_effect_of_length_it_is_the_win_rate_with_its_usual_interval():
    """Lengths balanced against outcomes: θ = 0, so ψ = logit(mean), whose error is sem / (m(1 - m))."""
    outcomes = np.tile([0.9, 0.9, 0.5, 0.5, 0.7, 0.7], 60)
    found = length_controlled(duels(outcomes, [90, 110] * 180, [100] * 360))
    margin = 1.96 * outcomes.std() / np.sqrt(360) / (0.7 * 0.3)
    expected = (0.7, expit(logit(0.7) - margin), expit(logit(0.7) + margin))
    assert (found.value, found.low, found.high) == pytest.approx(expected, abs=3e-3)


def test_it_recovers_what_a_judge_that_likes_length_thinks_at_equal_lengths():
    _, characters, references = drawn()
    outcomes = expit(-0.5 - 1.5 * feature(characters, references))
    found = length_controlled(duels(outcomes, characters, references))
    assert found.value == pytest.approx(expit(-0.5), abs=2e-3)
    assert outcomes.mean() != pytest.approx(expit(-0.5), abs=2e-2)


def test_its_penalty_pulls_onto_a_half_which_the_interval_does_not_know():
    """300 duels of which 45 % are won, at lengths that say nothing: half of such draws give exactly .500."""
    draw, characters, references = drawn()
    outcomes = draw.permutation([1.0] * 135 + [0.0] * 165)
    found = length_controlled(duels(outcomes, characters, references))
    assert found.value == 0.5
    assert (found.low, found.high) == pytest.approx((0.436, 0.564), abs=0.002)  # as if nothing had pulled


def test_repeating_the_reference_wins_only_with_a_judge_that_likes_length_and_that_is_undone():
    draw, _, references = drawn()
    repeated = 3 * references
    fond = expit(-2 * feature(repeated, references))
    assert fond.mean() > 0.8
    assert length_controlled(duels(fond, repeated, references)).value == pytest.approx(0.5, abs=0.01)
    fair = draw.uniform(0.4, 1.0, len(references))  # 0.7 at any length
    found = length_controlled(duels(fair, repeated, references))
    assert found.low < 0.7 < found.high


@pytest.mark.parametrize(
    ("n", "characters", "error"),
    [
        (0, [], "no item has an outcome"),
        (4, [1, 2, 3, 4], "4 items are too few for the fit's 5 folds"),
        (6, [17] * 6, "the responses differ from the reference by about the same length"),
    ],
)
def test_what_cannot_be_fitted_has_a_reason_instead_of_a_value(n, characters, error):
    found = length_controlled(duels(np.linspace(0.1, 0.8, n), characters, [10] * n))
    assert (found.value, found.low, found.high) == (None, None, None)
    assert found.error.startswith(error)


@pytest.mark.parametrize(("wins", "value"), [(0, 0.0), (1, 0.005), (199, 0.995), (200, 1.0)])
def test_almost_only_wins_or_losses_are_what_they_look_like(wins, value):
    """alpaca-eval's folds of nothing but 0 lack a class: untreated, one win of 200 gives 0.11, none 0.5."""
    _, characters, references = drawn(200)
    outcomes = np.where(np.arange(200) < wins, 1.0, 0.0)
    found = length_controlled(duels(outcomes, characters, references))
    assert found.value == pytest.approx(value, abs=0.005)
    assert found.low <= found.value <= found.high


outcome = st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 1))


@settings(max_examples=8)
@given(st.lists(st.tuples(outcome, st.integers(0, 2000), st.integers(0, 2000)), max_size=12))
def test_it_is_always_a_share_within_its_interval_or_an_error(rows):
    found = length_controlled(duels(*zip(*rows, strict=True)) if rows else duels([], [], []))
    if found.error is None:
        assert 0 <= found.low <= found.value <= found.high <= 1
    else:
        assert found.value is found.low is found.high is None


def test_it_needs_no_network_and_writes_nothing_beside_alpaca_eval(noisy, monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection was tried")

    folder = Path(alpaca_eval.__file__).parent
    before = {file for file in folder.rglob("*") if file.suffix != ".pyc"}
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert length_controlled(noisy).error is None
    assert {file for file in folder.rglob("*") if file.suffix != ".pyc"} == before


def test_a_fit_that_runs_to_the_end_has_an_interval_of_numbers():
    """Two wins of 24, which length tells apart: alpaca-eval's own fit puts equal lengths at exactly 0."""
    won = [6, 13]
    characters = [0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 1]
    references = [214, 184, 119, 248, 294, 399, 427, 131, 444, 70, 292, 484]
    references += [295, 436, 205, 437, 332, 238, 307, 17, 77, 371, 430, 395]
    found = length_controlled(duels([float(n in won) for n in range(24)], characters, references))
    assert (found.value, found.low, found.error) == (0.0, 0.0, None)
    assert found.high == pytest.approx(1.96**2 / (24 + 1.96**2))  # Wilson's, of none in 24
