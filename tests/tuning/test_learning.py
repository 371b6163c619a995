"""Whether a run learned, told from its loss curve: simulated curves whose truth is known."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.tuning.learning import doubt, learning, loss_curve_plot

CURVES = {  # losses of 50 points by the share of the run, before scatter
    "flat": lambda t: 1.5 + 0 * t,
    "rising": lambda t: 1.5 + 0.3 * t,
    "slow": lambda t: 1.5 - 0.2 * t,
    "at once": lambda t: 1.3 + 1.0 * np.exp(-t / 0.03),
    "steep": lambda t: 0.2 + 8.0 * np.exp(-t / 0.2),
}


@pytest.mark.parametrize(("kind", "falls"), [(k, k not in ("flat", "rising")) for k in CURVES])
def test_simulated_curves_are_told_apart(kind, falls):
    dice = np.random.default_rng(0)
    curve = CURVES[kind](np.linspace(0, 1, 50))
    told = [learning(400, list(curve + dice.normal(0, 0.08, 50))).fell for _ in range(400)]
    # Of a flat curve 2.3 % fall by two standard errors by chance, somewhat more as these are estimated.
    assert np.mean(told) > 0.95 if falls else np.mean(told) < 0.06


def test_a_fall_of_less_than_a_hundredth_is_none_and_one_point_shows_nothing():
    assert learning(3, [11.706, 11.701, 11.698]).fell is False
    assert learning(3, [3.0, 2.5, 2.0]).fell is True
    assert learning(1, [3.0]).fell is None


@given(st.lists(st.floats(0.01, 50), min_size=2, max_size=60), st.floats(0.1, 10))
def test_the_unit_of_the_loss_does_not_matter_and_no_rise_is_a_fall(losses, scale):
    found, scaled = learning(100, losses), learning(100, [loss * scale for loss in losses])
    assert not (found.fell and found.last >= found.first)
    close = abs(found.first - found.last) < 1e-6 * found.first  # or at the bound, where rounding decides
    assert close or scaled.first == pytest.approx(found.first * scale)
    assert learning(100, sorted(losses)).fell is False


def test_a_short_run_that_learned_and_a_long_one_that_did_not_are_two_sentences():
    falling, flat = [2.0 - n / 20 for n in range(12)], [1.5] * 40
    for steps, losses, facts in (
        (
            12,
            falling,
            ["loss fell", "1.950 → 1.500", "12 optimizer steps", "fewer than 20", "epochs", "batch_size"],
        ),
        (400, flat, ["not fall", "400 optimizer steps", "1.500 → 1.500", "learning_rate"]),
        (3, [11.706, 11.701, 11.698], ["not fallen", "11.706 → 11.698", "3 optimizer steps", "20", "epochs"]),
        (1, [2.0], ["1 optimizer step ", "epochs", "batch_size"]),
    ):
        told = doubt("a", steps, losses)
        assert told is not None and told.startswith("a: ")
        assert [fact for fact in facts if fact not in told] == []
    assert doubt("a", 20, falling) is None


def test_the_picture_is_a_png_and_shows_the_curve():
    falling = loss_curve_plot([1, 2, 3], [3.0, 2.0, 1.0])
    assert falling.startswith(b"\x89PNG")
    assert struct.unpack(">II", falling[16:24]) == (400, 176)  # 5 × 2.2 inches at 80 dots
    assert falling != loss_curve_plot([1, 2, 3], [1.0, 2.0, 3.0])


def test_a_single_step_is_a_dot():
    assert loss_curve_plot([1], [3.0]) != loss_curve_plot([], [])
