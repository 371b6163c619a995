"""The suitability metrics, which predict how good a teacher is for a base. To add one, add an entry.

A metric uses columns of a row (a response under a base). Each column is averaged over a teacher's
instructions, and `of_means` computes the teacher's value from the averages. The entries define the columns
that `top_k` selects by, the table `suitability`, and the metrics that reports compare.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Form = Literal["ratio", "product"]


@dataclass(frozen=True)
class RowColumn:
    """A number of one response: SQL over columns of `rewards` (reward) or of `base_losses` (all others).

    DuckDB and Polars both compute it, so it uses only arithmetic that both support. No recipe selects a row
    whose value is above `at_most`.
    """

    name: str
    sql: str
    at_most: float | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """The stored columns that it is made of."""
        return tuple(dict.fromkeys(pl.sql_expr(self.sql).meta.root_names()))

    @property
    def needs_losses(self) -> bool:
        """Whether it is computed from `base_losses`, and so depends on the base."""
        return self.name != REWARD.name

    @property
    def needs_unconditional(self) -> bool:
        """Whether the base must also score responses without their instruction."""
        return any(name.startswith("unconditional_") for name in self.reads)


REWARD = RowColumn("reward", "reward")
MEAN_NLL = RowColumn("mean_nll", "nll_sum / tokens")
PERPLEXITY = RowColumn("perplexity", "exp(nll_sum / tokens)")
IFD = RowColumn("ifd", "nll_sum / tokens / (unconditional_nll_sum / unconditional_tokens)", at_most=1)
IFD_OF_PERPLEXITIES = RowColumn(
    "ifd_of_perplexities",
    "exp(nll_sum / tokens - unconditional_nll_sum / unconditional_tokens)",
    at_most=1,
)
MEAN_RANK = RowColumn("mean_rank", "rank100_sum / tokens")
RANK_SURPRISAL_RATIO = RowColumn("rank_surprisal_ratio", "rank100_sum / nll_sum")
RESPONSE_TOKENS = RowColumn("response_tokens", "response_tokens * 1e0")


@dataclass(frozen=True)
class Metric:
    """One published measure of how well a teacher suits a base.

    `of_means` takes the means of `columns`, in their order, and β if the metric `takes_beta`, as arrays of
    any shape. `row` is the column that selects single responses by this metric, if there is one.
    """

    name: str
    label: str
    better: Literal["higher", "lower"]
    columns: tuple[RowColumn, ...]
    of_means: Callable[..., Floats]
    source: str
    row: RowColumn | None = None
    takes_beta: bool = False

    def value(self, means: Mapping[str, Floats], beta: float) -> Floats:
        """The teacher's value, from the mean of each column by its name."""
        given = [means[column.name] for column in self.columns]
        return self.of_means(*given, beta) if self.takes_beta else self.of_means(*given)

    @property
    def reads(self) -> tuple[str, ...]:
        """The stored columns that it is made of."""
        return tuple(dict.fromkeys(name for column in self.columns for name in column.reads))

    @property
    def definition(self) -> tuple[str, ...]:
        """The parts of a fingerprint that its values change with."""
        return self.better, self.of_means.__name__, *(column.sql for column in self.columns)

    @property
    def sign(self) -> int:
        """1 if higher values are better, else -1."""
        return 1 if self.better == "higher" else -1


def car(reward: Floats, loss: Floats, beta: float) -> Floats:
    """Compatibility-Adjusted Reward, r · 1 / (1 + β·L), from mean rewards and mean losses."""
    result: Floats = reward * (1 / (1 + beta * loss))
    return result


def car_product(reward: Floats, loss: Floats, beta: float) -> Floats:
    """The product form, r · (1 + β·L)."""
    result: Floats = reward * (1 + beta * loss)
    return result


def mean(column: Floats) -> Floats:
    """The mean, unchanged."""
    return column


def ratio(above: Floats, below: Floats) -> Floats:
    """One mean divided by another."""
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Floats = above / below
    return result


CAR = Metric("car", "CAR, ratio form", "higher", (REWARD, MEAN_NLL), car, "arXiv 2411.07133", takes_beta=True)
CAR_PRODUCT = Metric(
    *("car_product", "CAR, product form", "higher", (REWARD, MEAN_NLL), car_product),
    "arXiv 2411.07133, as one digest prints it",
    takes_beta=True,
)
ENTRIES = (
    CAR,
    CAR_PRODUCT,
    Metric("mean_reward", "reward alone", "higher", (REWARD,), mean, "arXiv 2411.07133, Table 4", REWARD),
    Metric("mean_loss", "low loss alone", "lower", (MEAN_NLL,), mean, "arXiv 2502.04194 (GRAPE)", MEAN_NLL),
    Metric(
        *("perplexity", "low perplexity", "lower", (PERPLEXITY,), mean),
        *("arXiv 2411.07133, Table 4 (PPL-Self)", PERPLEXITY),
    ),
    Metric("ifd", "IFD", "higher", (IFD,), mean, "arXiv 2308.12032, its authors' code", IFD),
    Metric(
        *("ifd_of_perplexities", "IFD of perplexities", "higher", (IFD_OF_PERPLEXITIES,), mean),
        *("arXiv 2308.12032, its text; arXiv 2411.07133, Table 4 (IFD-Self)", IFD_OF_PERPLEXITIES),
    ),
    Metric(
        *("rank_surprisal_ratio", "low rank-surprisal ratio", "lower", (MEAN_RANK, MEAN_NLL), ratio),
        *("arXiv 2601.14249, Eq. 7 and Appendix A.8", RANK_SURPRISAL_RATIO),
    ),
    Metric(
        *("response_tokens", "response length", "higher", (RESPONSE_TOKENS,), mean),
        *("arXiv 2411.07133, Table 4 (Length)", RESPONSE_TOKENS),
    ),
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in ENTRIES}


def car_metric(form: Form) -> Metric:
    """The metric that a study calls CAR."""
    return CAR if form == "ratio" else CAR_PRODUCT


def labelled(form: Form) -> dict[str, Metric]:
    """Every metric under the label that people read; "CAR", the study's own form, is the first."""
    own = car_metric(form)
    return {"CAR": own} | {metric.label: metric for metric in METRICS.values() if metric is not own}


def row_columns() -> dict[str, RowColumn]:
    """The columns that single responses are selected by, by name."""
    return {metric.row.name: metric.row for metric in METRICS.values() if metric.row is not None}
