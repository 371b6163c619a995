"""A study's steps, one per partition of each asset, in dependency order."""

from collections.abc import Iterator, Set
from dataclasses import dataclass

import dagster as dg

from preceptor.study.recipes import AnyRecipe
from preceptor.study.schema import Study
from preceptor.study.untuned import untuned_runs

Need = tuple[str, str | None]


@dataclass(frozen=True)
class Step:
    """One partition of an asset. It needs all (asset, key) pairs of `needs`, and one of each group."""

    asset: str
    key: str | dg.MultiPartitionKey | None = None
    needs: tuple[Need, ...] = ()
    one_of: tuple[tuple[Need, ...], ...] = ()

    def lacking(self, failed: Set[Need]) -> tuple[Need, str] | None:
        """The failed need that makes the step impossible, and its name; None if there is none."""
        alone = next((need for need in self.needs if need in failed), None)
        if alone is not None:
            return alone, " ".join(part for part in alone if part)
        group = next((group for group in self.one_of if group and failed.issuperset(group)), None)
        return None if group is None else (group[0], f"all of {group[0][0]}")

    @property
    def place(self) -> Need:
        """The (asset, key) pair by which later steps refer to it."""
        return self.asset, None if self.key is None else str(self.key)

    def __str__(self) -> str:
        keys = (
            self.key.keys_by_dimension.values() if isinstance(self.key, dg.MultiPartitionKey) else [self.key]
        )
        return " ".join([self.asset, " × ".join(key for key in keys if key)]).strip()


def steps(study: Study) -> Iterator[Step]:
    """Every partition of every asset, parents first; grouped by base, so that a process loads each once."""
    instructions = ("raw_instructions", None)
    yield Step("raw_instructions")
    for teacher in study.teachers:
        yield Step("responses", teacher.name, (instructions,))
    rewards, losses = list(_rewards(study)), list(_base_losses(study))
    yield from rewards
    yield from losses
    whole = (tuple(step.place for step in rewards), tuple(step.place for step in losses))
    yield Step("car_table", None, (instructions,), whole)
    yield Step("car_beta_sweep", None, (("car_table", None),))
    yield Step("suitability", None, (("car_table", None),))
    yield from _after_the_ranking(study)


def _rewards(study: Study) -> Iterator[Step]:
    for model in study.reward_models:
        for teacher in study.teachers:
            key = dg.MultiPartitionKey({"reward_model": model.name, "teacher": teacher.name})
            yield Step("rewards", key, (("responses", teacher.name),))


def _base_losses(study: Study) -> Iterator[Step]:
    for base in study.bases:
        for teacher in study.teachers:
            key = dg.MultiPartitionKey({"base": base.name, "teacher": teacher.name})
            yield Step("base_losses", key, (("responses", teacher.name),))


def _after_the_ranking(study: Study) -> Iterator[Step]:
    # Before tuning, so that problems with a benchmark or its judge show before the long steps.
    for evaluation in study.evaluations:
        for base in untuned_runs(study).values():
            yield Step("base_results", dg.MultiPartitionKey({"base": base, "benchmark": evaluation.name}))
    for recipe in study.recipes:
        yield Step("selected_subset", recipe.name, (_origin(study, recipe),))
    for run in study.runs:
        yield Step("tuned_checkpoint", run.name, (("selected_subset", run.recipe),))
    # Ordered by benchmark: a run's benchmarks may share answers and must not run in parallel.
    for evaluation in study.evaluations:
        for run in study.runs:
            key = dg.MultiPartitionKey({"benchmark": evaluation.name, "run": run.name})
            yield Step("eval_results", key, (("tuned_checkpoint", run.name),))
    # The report lists failures, so it needs no run and no evaluation.
    ranking = ("car_table", None), ("car_beta_sweep", None), ("suitability", None)
    yield Step("study_report", None, ranking)


def _origin(study: Study, recipe: AnyRecipe) -> Need:
    """The step that a recipe needs."""
    if recipe.BY_RANKING:
        return "car_table", None
    teachers = recipe.drawn_from(teacher.name for teacher in study.teachers)
    return ("responses", teachers[0]) if len(teachers) == 1 else ("raw_instructions", None)
