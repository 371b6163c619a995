"""`python -m jobs.run_study STUDY`: materialize a whole study, key after key, in dependency order.

What is up to date is recognised and costs nothing. A teacher that fails is skipped downstream and named;
the others go on. The exit status is 1 if anything failed.
"""

import argparse
import logging
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import dagster as dg

from jobs.instance import open_instance, process_tags, release_dead_runs, synchronise
from jobs.ranking import ranking_text
from preceptor.lake.schemas import CAR_TABLE
from preceptor.lake.store import Lake
from preceptor.progress import duration
from preceptor.study.load import StudyError, load_study
from preceptor.study.schema import BestTeacher, Study

PROBLEMS = (dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR)


@dataclass(frozen=True)
class Step:
    """One asset's partition; `needs` are (asset, key) pairs without which it makes no sense."""

    asset: str
    key: str | dg.MultiPartitionKey | None = None
    needs: tuple[tuple[str, str | None], ...] = ()

    def __str__(self) -> str:
        keys = (
            self.key.keys_by_dimension.values() if isinstance(self.key, dg.MultiPartitionKey) else [self.key]
        )
        return " ".join([self.asset, " × ".join(key for key in keys if key)]).strip()


@dataclass
class Tally:
    """What happened so far."""

    failed: set[tuple[str, str | None]] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    warnings: dict[str, list[str]] = field(default_factory=dict)


def steps(study: Study) -> Iterator[Step]:
    """Every partition of every asset, parents first; base after base, so that each model is loaded once."""
    instructions = ("raw_instructions", None)
    yield Step("raw_instructions")
    for teacher in study.teachers:
        yield Step("responses", teacher.name, (instructions,))
    for model in study.reward_models:
        for teacher in study.teachers:
            key = dg.MultiPartitionKey({"reward_model": model.name, "teacher": teacher.name})
            yield Step("rewards", key, (("responses", teacher.name),))
    for base in study.bases:
        for teacher in study.teachers:
            key = dg.MultiPartitionKey({"base": base.name, "teacher": teacher.name})
            yield Step("base_losses", key, (("responses", teacher.name),))
    yield Step("car_table", None, (instructions,))
    yield Step("car_beta_sweep", None, (("car_table", None),))
    for recipe in study.recipes:
        need = ("car_table", None) if isinstance(recipe, BestTeacher) else instructions
        yield Step("selected_subset", recipe.name, (need,))


def run(study: Study, instance: dg.DagsterInstance) -> Tally:
    """Materialize all steps in this process."""
    from definitions import defs

    tally, planned = Tally(), list(steps(study))
    for number, step in enumerate(planned, 1):
        lacking = [need for need in step.needs if need in tally.failed]
        if lacking:
            tally.failed.add((step.asset, str(step.key) if step.key else None))
            tally.failures.append(f"{step}: skipped, since {' '.join(p for p in lacking[0] if p)} failed")
            continue
        started = time.monotonic()
        result = dg.materialize(
            list(defs.assets or []),
            selection=[step.asset],
            partition_key=step.key,
            resources=dict(defs.resources or {}),
            instance=instance,
            raise_on_error=False,
            tags=process_tags(),
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        _record(step, result, tally)
        if any("DagsterExecutionInterruptedError" in failure for failure in tally.failures):
            raise KeyboardInterrupt
        outcome = _outcome(result, step) if result.success else "FAILED"
        print(
            f"[{number:>{len(str(len(planned)))}}/{len(planned)}] {step}: {outcome}"
            f" ({duration(time.monotonic() - started)})",
            flush=True,
        )
    return tally


def _record(step: Step, result: dg.ExecuteInProcessResult, tally: Tally) -> None:
    for check in result.get_asset_check_evaluations():
        if not check.passed and check.severity in PROBLEMS:
            tally.warnings.setdefault(f"{step.asset}.{check.check_name}", []).append(
                f"{step}: {check.description}"
            )
    if not result.success:
        tally.failed.add((step.asset, str(step.key) if step.key else None))
        errors = [event.step_failure_data.error for event in result.get_step_failure_events()]
        causes = [_sentence((error.cause or error).message) for error in errors if error is not None]
        tally.failures.append(f"{step}: {'; '.join(causes) or 'failed'}")


def _sentence(message: str) -> str:
    """An error's text; our own errors speak for themselves, without the name of their class."""
    name, _, text = message.strip().partition(": ")
    return text if name.startswith("preceptor.") and text else message.strip()


def _outcome(result: dg.ExecuteInProcessResult, step: Step) -> str:
    metadata = result.asset_materializations_for_node(step.asset)[0].metadata
    computed, reused = metadata["rows_computed"].value, metadata["rows_reused"].value
    if computed == 0:
        return f"{reused:,} rows, up to date"
    return f"{computed:,} rows" + (f" and {reused:,} kept" if reused else "")


def _report(study: Study, tally: Tally, seconds: float) -> None:
    lake = Lake(os.environ.get("PRECEPTOR_STORE", "store"), study.name)
    if ("car_table", None) not in tally.failed:
        print(f"\n{ranking_text(lake.read(CAR_TABLE))}")
    for check, sentences in tally.warnings.items():
        print(f"! {check}, {len(sentences)} ×, first: {sentences[0]}")
    for failure in tally.failures:
        print(f"FAILED {failure}")
    print(f"\n{study.name} in {duration(seconds)}. Tables: {lake.uri(CAR_TABLE).removesuffix('/car_table')}")
    print(f"Browse every row's origin: make ui STUDY={os.environ['PRECEPTOR_STUDY']}")


def main() -> None:
    """Run the study named on the command line."""
    parser = argparse.ArgumentParser(description="Materialize a whole study.")
    parser.add_argument("study", help="the study's YAML file")
    path = parser.parse_args().study
    os.environ["PRECEPTOR_STUDY"] = path
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("    %(message)s"))
    logging.getLogger("preceptor").addHandler(handler)
    logging.getLogger("preceptor").setLevel(logging.INFO)
    try:
        study = load_study(path)
    except StudyError as error:
        sys.exit(str(error))
    started = time.monotonic()
    instance = open_instance(study)
    for change in synchronise(instance, study):
        print(f"{study.name}: {change}")
    for run_id in release_dead_runs(instance):
        print(f"{study.name}: run {run_id} was killed; going on from what it committed")
    try:
        tally = run(study, instance)
    except KeyboardInterrupt:
        sys.exit(f"stopped: what is committed stays, and `make study STUDY={path}` goes on from there")
    _report(study, tally, time.monotonic() - started)
    sys.exit(1 if tally.failures else 0)


if __name__ == "__main__":
    main()
