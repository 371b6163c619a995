"""Coverage of the intervals of CAR and of its ranks, in simulated studies of equal teachers.

    python benchmarks/interval_coverage.py [--studies 2000] [--resamples 1000]

All teachers of a study have the same true mean reward and loss. Half of the variance of an instruction's rows
is a difficulty that all teachers share. Rows are normal, or skewed: a sigmoid of a normal reward and a
log-normal loss. Coverage of ranks is joint: all rank intervals of a base must span from first to last.
"""

import argparse
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from preceptor.statistics.bootstrap import expanded_interval, percentile_interval, resampled_means
from preceptor.statistics.ranks import rank_intervals
from preceptor.suitability.metrics import car

Floats = NDArray[np.float64]
CONFIDENCE, BETA = 0.95, 3.0
INSTRUCTIONS = (10, 20, 50, 200, 1_000)
TEACHERS = (2, 8, 15, 20)
KINDS = ("normal", "skewed")
MANY = 400_000  # rows from which the true values are computed
COLUMNS = ("rows", "instructions", "teachers", "joint ranks", "CAR, expanded", "CAR, percentile")


def draw(
    generator: np.random.Generator, kind: str, instructions: int, teachers: int
) -> tuple[Floats, Floats]:
    """Rewards and losses, each (instructions, teachers)."""
    shared = generator.normal(0, 1, (2, instructions, 1))
    own = generator.normal(0, 1, (2, instructions, teachers))
    reward, loss = np.sqrt(0.5) * (shared + own)
    if kind == "normal":
        return 5 + reward, 2 + 0.4 * loss
    return 1 / (1 + np.exp(-(1 + 1.5 * reward))), np.exp(0.3 + 0.6 * loss)


def value(reward: Floats, loss: Floats) -> Floats:
    """CAR of each column of rows."""
    return car(reward.mean(0), loss.mean(0), BETA)


def coverage(kind: str, instructions: int, teachers: int, studies: int, resamples: int) -> list[float]:
    """Coverage: share of studies for joint rank intervals, share of teachers for both CAR intervals."""
    truth = float(value(*draw(np.random.default_rng(0), kind, MANY, 1))[0])
    counts = np.full(teachers, instructions)
    held = []
    for study in range(studies):
        reward, loss = draw(
            np.random.default_rng([study, instructions, teachers]), kind, instructions, teachers
        )
        means = resampled_means(np.concatenate([reward, loss], axis=1), resamples, study)
        draws = car(means[:, :teachers], means[:, teachers:], BETA)
        best, worst = rank_intervals(value(reward, loss), draws, CONFIDENCE, counts, study)
        expanded = expanded_interval(draws, CONFIDENCE, counts)
        ends = [expanded, percentile_interval(draws, CONFIDENCE)]
        of_car = [((low <= truth) & (truth <= high)).mean() for low, high in ends]
        held.append([bool(np.all(best == 1) and np.all(worst == teachers)), *of_car])
    return [float(share) for share in np.mean(held, axis=0)]


def line(cells: Sequence[object]) -> str:
    """One line of a Markdown table."""
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def main() -> None:
    """Print a Markdown table, one line per setting."""
    parser = argparse.ArgumentParser(description="Simulate the coverage of CAR's intervals.")
    parser.add_argument("--studies", type=int, default=2_000)
    parser.add_argument("--resamples", type=int, default=1_000)
    options = parser.parse_args()
    print(f"{line(COLUMNS)}\n{line(['---'] * len(COLUMNS))}")
    for kind in KINDS:
        for instructions in INSTRUCTIONS:
            for teachers in TEACHERS:
                shares = coverage(kind, instructions, teachers, options.studies, options.resamples)
                rounded = [f"{share:.3f}" for share in shares]
                print(line([kind, f"{instructions:,}", teachers, *rounded]), flush=True)


if __name__ == "__main__":
    main()
