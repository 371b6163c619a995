"""The contents of charts, and the places of labels."""

import json
import re

import polars as pl

from preceptor.report.chart import LABEL, colour, dash, label
from preceptor.report.predicted_charts import label_sides, predictor_chart, scatter_chart
from preceptor.report.ranking_charts import car_chart, sweep_chart
from preceptor.report.row_charts import loss_curve_chart, spread_chart
from preceptor.statistics.correlation import RankCorrelation


def data(html):
    """The element's name and the figure."""
    name = re.search(r'id="([^"]+)"', html).group(1)
    text = re.search(r'<script type="application/json" data-chart="[^"]+">(.*?)</script>', html, re.S).group(
        1
    )
    return name, json.loads(text)


COLOURS = {"a": 0, "b": 1}
RANKED = pl.DataFrame(
    {
        "teacher": ["b", "a"],
        "rank": [1, 2],
        "rank_low": [1, 2],
        "rank_high": [1, 3],
        "car": [0.5, 0.25],
        "car_low": [0.25, None],
        "car_high": [1.0, None],
        "mean_reward": [1.0, 1.0],
        "mean_loss": [1.0, 1.0],
    }
)


def test_car_chart_has_intervals_ranks_and_teachers_colours():
    name, figure = data(car_chart(RANKED, COLOURS, "car-0"))
    (trace,) = figure["data"]
    assert name == "car-0"
    assert trace["x"] == [0.5, 0.25] and trace["marker"]["color"] == [colour(1), colour(0)]
    assert (trace["error_x"]["array"], trace["error_x"]["arrayminus"]) == ([0.5, 0.0], [0.25, 0.0])
    assert [note["text"] for note in figure["layout"]["annotations"]] == ["1", "2 to 3"]
    assert [text.strip() for text in figure["layout"]["yaxis"]["ticktext"]] == ["b", "a"]


def test_sweep_chart_names_tied_teachers_together_and_marks_beta():
    rows = [("a", 0.0, 1), ("a", 3.0, 1), ("b", 0.0, 2), ("b", 3.0, 1)]
    sweep = pl.DataFrame(rows, schema=["teacher", "beta", "rank"], orient="row")
    _, figure = data(sweep_chart(sweep, 3.0, COLOURS, "sweep-0"))
    assert [(trace["x"], trace["y"]) for trace in figure["data"]] == [([0, 1], [1, 1]), ([0, 1], [2, 1])]
    assert [note["text"] for note in figure["layout"]["annotations"]] == ["a, b"]
    assert figure["layout"]["shapes"][0]["x0"] == 1
    assert figure["layout"]["xaxis"]["range"][1] > 1  # the last β is visible


def test_scatter_shows_rho_and_only_teachers_with_both():
    teachers = pl.DataFrame(
        {"teacher": ["a", "b"], "car": [1.0, None], "value": [0.5, 0.6], "low": [0.4, 0.5]}
        | {"high": [0.7, 0.7], "runs": [1, 2], "unit": ["share"] * 2}
    )
    _, figure = data(scatter_chart(teachers, RankCorrelation(0.5, 4, -0.2, 0.9), COLOURS, "actual-0"))
    assert figure["data"][0]["x"] == [1.0] and figure["data"][0]["text"] == ["a"]
    assert figure["layout"]["title"]["text"] == "ρ = 0.50 (-0.20 to 0.90)"


def test_predictors_without_a_rho_are_listed_without_a_bar():
    rows = pl.DataFrame(
        {"predictor": ["CAR", "reward alone"], "rho": [0.5, None], "low": [0.1, None], "high": [0.7, None]}
    )
    _, figure = data(predictor_chart(rows, "p"))
    assert figure["data"][0]["x"] == [0.5, None]
    assert [note["text"] for note in figure["layout"]["annotations"]] == ["0.50", "–"]


def test_boxes_are_drawn_from_the_quantiles_given():
    row = {"teacher": "b", "mean": 3.5, "q05": 1.0, "q25": 2.0, "q50": 3.0, "q75": 4.0, "q95": 9.0}
    _, figure = data(spread_chart(pl.DataFrame([row]), "characters", COLOURS, "spread-0"))
    (box,) = figure["data"]
    named = ("lowerfence", "q1", "median", "q3", "upperfence", "mean")
    assert [box[name] for name in named] == [[1.0], [2.0], [3.0], [4.0], [9.0], [3.5]]


def test_loss_curves_are_the_logged_steps():
    row = {"run": "r", "recipe": "a", "loss_steps": [1, 5], "losses": [2.0, 1.0]}
    _, figure = data(loss_curve_chart(pl.DataFrame([row]), COLOURS, "loss-0"))
    assert (figure["data"][0]["x"], figure["data"][0]["y"]) == ([1, 5], [2.0, 1.0])


def test_labels_avoid_each_other():
    alone = label_sides([0.0], [0.0], ["a"])
    assert alone == ["middle right"]
    right = label_sides([0.0, 1.0], [0.0, 1.0], ["near the left edge", "near the right edge"])
    assert right == ["middle right", "middle left"]
    crowded = label_sides([0.0, 0.5, 0.52, 1.0], [0.0, 0.5, 0.5, 1.0], ["a", "first one", "second one", "b"])
    assert crowded[1] == "middle left" and crowded[2] == "middle right"


def test_long_names_keep_both_ends_and_lose_markup():
    assert label("short") == "short"
    first, second = (label(f"organisation-and-model-name-v0.{number}") for number in (1, 2))
    assert len(first) == LABEL and first != second and "…" in first
    assert label("<b>x") == "&lt;b&gt;x"


def test_forty_teachers_look_different():
    assert len({(colour(number), dash(number)) for number in range(40)}) == 40


def test_no_text_can_end_the_data_element():
    rows = pl.DataFrame(
        [{"run": "</script><script>alert(1)", "recipe": "a", "loss_steps": [1], "losses": [1.0]}]
    )
    html = loss_curve_chart(rows, COLOURS, "loss-0")
    assert html.count("</script>") == 1 and html.endswith("</script>")
