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


def test_the_issues_own_run_is_flagged_and_a_run_that_fell_as_little_by_noise():
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
    assert doubt("a", 12, falling) == (
        "a: its training loss fell (1.950 → 1.500 nats per token), but it ended after 12 optimizer steps,"
        " fewer than 20: give it more epochs or a smaller batch_size"
    )
    assert doubt("a", 400, flat) == (
        "a: its training loss did not fall in 400 optimizer steps (1.500 → 1.500 nats per token): look at its"
        " learning_rate"
    )
    assert str(doubt("a", 3, [11.706, 11.701, 11.698])).startswith(
        "a: its training loss has not fallen yet (11.706 → 11.698 nats per token) after 3 optimizer steps"
    )
    assert "whether it learned cannot be seen from 1 optimizer step:" in str(doubt("a", 1, [2.0]))
    assert doubt("a", 20, falling) is None


def test_the_picture_is_a_png_and_shows_the_curve():
    falling = loss_curve_plot([1, 2, 3], [3.0, 2.0, 1.0])
    assert falling.startswith(b"\x89PNG")
    assert struct.unpack(">II", falling[16:24]) == (400, 176)  # 5 × 2.2 inches at 80 dots
    assert falling != loss_curve_plot([1, 2, 3], [1.0, 2.0, 3.0])


def test_a_single_step_is_a_dot():
    assert loss_curve_plot([1], [3.0]) != loss_curve_plot([], [])
