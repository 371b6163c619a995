"""The loss curve's picture."""

import struct

from preceptor.tuning.plot import loss_curve_plot


def test_the_picture_is_a_png_and_shows_the_curve():
    falling = loss_curve_plot([1, 2, 3], [3.0, 2.0, 1.0])
    assert falling.startswith(b"\x89PNG")
    assert struct.unpack(">II", falling[16:24]) == (400, 176)  # 5 × 2.2 inches at 80 dots
    assert falling != loss_curve_plot([1, 2, 3], [1.0, 2.0, 3.0])


def test_a_single_step_is_a_dot():
    assert loss_curve_plot([1], [3.0]) != loss_curve_plot([], [])
