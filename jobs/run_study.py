"""`python -m jobs.run_study STUDY`: materialize a whole study in dependency order.

Steps that are up to date cost nothing. If a teacher fails, its downstream steps are skipped and listed, and
the other teachers continue. The exit status is 1 if anything failed.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import dagster as dg

from jobs.agreement import agreement_text
from jobs.home import HomeError, home_folder, open_instance, told
from jobs.instance import release_dead_runs, synchronise
from jobs.materialize import Result, materialize, show_progress
from jobs.processes import after_a_step
from jobs.ranking import ranking_text
from jobs.slots import watched
from jobs.steps import Need, Step, steps
from jobs.threads import set_threads
from jobs.unchanged import Unchanged
from jobs.workers import allowed_at_once, side_by_side, workers
from preceptor.check import check_study
from preceptor.lake.gaps import gaps
from preceptor.lake.schemas import (
    CAR_TABLE,
    EVAL_DIFFERENCES,
    PREDICTED_ACTUAL,
    SUITABILITY,
    TUNED_CHECKPOINT,
)
from preceptor.lake.store import Lake, LakeError, store_root
from preceptor.paths import writing_problem
from preceptor.preflight import preflight
from preceptor.progress import duration
from preceptor.report.predicted import rank_correlations
from preceptor.report.publish import report_uri
from preceptor.study.advice import advice
from preceptor.study.load import ReadStudy, StudyError, read_study
from preceptor.study.schema import Study
from preceptor.unchanged.receipt import receipts_folder
from resources.gpu import shared_gpus

KILLED = "a worker process was killed, perhaps because memory ran out (fewer --processes need less)"


@dataclass
class Tally:
    """The results so far."""

    planned: int
    done: int = 0
    failed: set[Need] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    skipped: dict[str, list[str]] = field(default_factory=dict)  # steps by the failure that caused it
    causes: dict[Need, str] = field(default_factory=dict)  # of skipped steps
    warnings: dict[str, list[str]] = field(default_factory=dict)


def run(
    planned: list[Step], instance: dg.DagsterInstance, processes: int, tally: Tally, unchanged: Unchanged
) -> None:
    """Materialize the steps. Several processes compute partitions of one asset in parallel."""
    if processes == 1:
        for step in planned:
            _take_all(tally, (_result(s, instance, unchanged) for s in _sensible([step], tally)))
        return
    with allowed_at_once(instance, processes), workers(processes) as pool:
        for _, group in groupby(planned, key=lambda step: step.asset):
            results = {step: unchanged.result(step) for step in _sensible(group, tally)}
            _take_all(tally, (result for result in results.values() if result is not None))
            if to_run := [step for step, result in results.items() if result is None]:
                _take_all(tally, side_by_side(pool, to_run))
                unchanged.forget()


def _result(step: Step, instance: dg.DagsterInstance, unchanged: Unchanged) -> Result:
    if (said := unchanged.result(step)) is not None:
        return said
    result = materialize(step, instance)
    after_a_step()
    unchanged.forget()
    return result


def _sensible(planned: Iterable[Step], tally: Tally) -> Iterator[Step]:
    """Steps whose needs are met; the others are recorded as skipped."""
    for step in planned:
        lacking = step.lacking(tally.failed)
        if lacking is not None:
            tally.done += 1
            tally.failed.add(step.place)
            need, words = lacking
            cause = tally.causes.setdefault(step.place, tally.causes.get(need, words))
            tally.skipped.setdefault(cause, []).append(str(step))
        else:
            yield step


def _failures(tally: Tally) -> Iterator[str]:
    """One line per failure, then one line per failure that caused skipped steps."""
    yield from tally.failures
    for cause, skipped in tally.skipped.items():
        more = f" and {len(skipped) - 3} more" if len(skipped) > 3 else ""
        yield f"{', '.join(skipped[:3])}{more}: skipped, since {cause} failed"


def _take_all(tally: Tally, results: Iterable[Result]) -> None:
    for result in results:
        tally.done += 1
        for check, sentence in result.warnings:
            tally.warnings.setdefault(check, []).append(sentence)
        if result.failure is not None:
            tally.failed.add(result.step.place)
            tally.failures.append(f"{result.step}: {result.failure}")
        if result.interrupted:
            raise KeyboardInterrupt
        print(
            f"[{tally.done:>{len(str(tally.planned))}}/{tally.planned}] {result.step}: {result.outcome}"
            f" ({duration(result.seconds)})",
            flush=True,
        )


def _report(study: Study, tally: Tally, seconds: float) -> None:
    lake = Lake(store_root(), study.name)
    if ("car_table", None) not in tally.failed:
        print(f"\n{ranking_text(lake.read(CAR_TABLE), lake.read(SUITABILITY))}")
    if study.runs and ("study_report", None) not in tally.failed:
        compared = lake.read(PREDICTED_ACTUAL)
        found = rank_correlations(compared, lake.read(SUITABILITY), study.car.form)
        print(agreement_text(compared, found, lake.read(TUNED_CHECKPOINT), lake.read(EVAL_DIFFERENCES)))
    for check, sentences in tally.warnings.items():
        print(f"! {check}, {len(sentences)} ×, first: {sentences[0]}")
    for failure in _failures(tally):
        print(f"FAILED {failure}")
    print(f"\n{study.name} in {duration(seconds)}. Tables: {lake.home}")
    if ("study_report", None) not in tally.failed:
        print(f"Report, one HTML file for any browser: {report_uri(lake)}")
    print(f"Browse assets and runs in Dagster's UI: make ui STUDY={os.environ['PRECEPTOR_STUDY']}")


def _check(read: ReadStudy, file: str) -> None:
    """Print all problems of the study, or that there are none."""
    study = read.study
    found = check_study(study)
    for remark in found.remarks:
        print(f"{study.name}: {remark}")
    problems = [f"{file}: {problem}" for problem in (*unusable_places(study), *found.problems)]
    if problems or read.left_out:  # left-out teacher files were printed before
        sys.exit("\n".join(problems) or 1)
    print(f"{study.name}: no problem found; some can only show when it runs")


def unusable_places(study: Study) -> Iterator[str]:
    """Problems with the folders of the lake and of Dagster's home, found before anything is written there."""
    places = {
        "PRECEPTOR_STORE": lambda: Lake(store_root(), study.name).home,
        "DAGSTER_HOME": lambda: str(home_folder(study)),
    }
    for variable, place in places.items():
        try:
            folder = place()
        except (LakeError, HomeError) as error:
            yield str(error)
            continue
        if not folder.startswith("s3://") and (problem := writing_problem(Path(folder))) is not None:
            yield f"{problem}: set {variable} to a folder with write access"


def _gaps(study: Study) -> dict[str, list[str]]:
    """Missing hashes of the store, to repeat as a warning at the end: a line among many is overlooked."""
    try:
        found = gaps(Lake(store_root(), study.name))  # logs them too
    except LakeError:  # the first step reports it
        found = []
    return {"hashes of the store": found} if found else {}


def _decided(
    read: ReadStudy, planned: list[Step], options: argparse.Namespace
) -> tuple[dg.DagsterInstance, Unchanged]:
    """The study's instance, and which steps have nothing to do. Raises HomeError.

    If all steps are up to date, the checks before a run are skipped too.
    """
    fresh = not receipts_folder(home_folder(read.study)).exists()
    if fresh:  # report mistakes before anything is written
        _prepare_work(read, options)
    instance = open_instance(read.study)
    with told(instance.root_directory):
        unchanged = Unchanged(read.study, instance, planned, bool(os.environ.get("PRECEPTOR_RETRY_FAILED")))
        if not fresh and not unchanged.all_of(planned):
            _prepare_work(read, options)
        unchanged.forget()  # tables may have changed in the meantime
        for sentence in synchronise(instance, read):
            print(f"{read.study.name}: {sentence}")
        for sentence in release_dead_runs(instance):
            print(f"{read.study.name}: {sentence}; this run resumes from its last commit")
    return instance, unchanged


def _prepare_work(read: ReadStudy, options: argparse.Namespace) -> None:
    """Exit on problems that would fail later, and print the number of threads."""
    threads = set_threads(read.study, options.processes)  # preflight may import torch
    _refuse(options.study, preflight(read.study))
    if threads:
        print(f"{read.study.name}: {threads}")


def _refuse(file: str, problems: Iterable[str]) -> None:
    if said := [f"{file}: {problem}" for problem in problems]:
        sys.exit("\n".join(said))


def main() -> None:
    """Run the study named on the command line."""
    parser = argparse.ArgumentParser(description="Materialize a whole study.")
    parser.add_argument("study", help="the study's YAML file")
    parser.add_argument(
        "--processes",
        type=int,
        default=1,
        help="parallel steps: use 1 with a GPU, or at most as many as there are GPUs in PRECEPTOR_GPUS",
    )
    parser.add_argument("--retry-failed", action="store_true", help="try rows with an error again")
    parser.add_argument("--check", action="store_true", help="print the study's problems, run nothing")
    options = parser.parse_args()
    if (gpus := shared_gpus()) and options.processes > len(gpus):
        parser.error(
            f"--processes {options.processes} is more than the {len(gpus)} GPUs in"
            f" PRECEPTOR_GPUS={','.join(gpus)}: use at most {len(gpus)}"
        )
    os.environ["PRECEPTOR_STUDY"] = options.study
    if options.retry_failed:
        os.environ["PRECEPTOR_RETRY_FAILED"] = "1"
    show_progress()
    try:
        read = read_study(options.study)
    except StudyError as error:
        sys.exit(str(error))
    study = read.study
    for sentence in read.left_out:
        print(f"{study.name}: {sentence}")
    if not study.teachers:
        sys.exit(
            f"{options.study}: there is no teacher yet: add one to 'teachers', or a file where"
            " 'teacher_files' points"
        )
    for sentence in advice(study):
        print(f"{study.name}: {sentence}")
    if options.check:
        _check(read, options.study)
        return
    _refuse(options.study, unusable_places(study))
    started = time.monotonic()
    planned = list(steps(study))
    try:
        instance, unchanged = _decided(read, planned, options)
    except HomeError as error:
        sys.exit(str(error))
    again = f"committed rows are kept; run the same command to resume ({options.study})"
    tally = Tally(len(planned), failures=list(read.left_out), warnings=_gaps(study))
    try:
        with watched(instance):
            run(planned, instance, options.processes, tally, unchanged)
    except (KeyboardInterrupt, BrokenProcessPool, HomeError) as error:
        for failure in _failures(tally):
            print(f"FAILED {failure}")
        why = {KeyboardInterrupt: f"stopped: {again}", BrokenProcessPool: f"{KILLED}: {again}"}
        sys.exit(why.get(type(error), str(error)))
    _report(study, tally, time.monotonic() - started)
    sys.exit(1 if tally.failures else 0)


if __name__ == "__main__":
    main()
