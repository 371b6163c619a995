"""The inputs and outputs of each step, from the same functions that the step itself uses.

Settings are identified by the rows' fingerprints and by the other parts of the study that the step and its
checks read. Rows are identified by the files that hold them. If a list here contains too much, the step runs
and finds that it is up to date. tests/unchanged compares the lists with the tables that each step opens.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from preceptor.current import ROW_TABLES, Current, current_fingerprints
from preceptor.current.rows import responses_fingerprint, rewards_fingerprint
from preceptor.evaluation.kind import kind_of
from preceptor.instructions.collect import instructions_fingerprint
from preceptor.lake.files import read_text
from preceptor.lake.folders import file_sizes, folder_uri, published, read_manifest
from preceptor.lake.schemas import (
    BASE_LOSSES,
    CAR_BETA_SWEEP,
    CAR_TABLE,
    EVAL_DIFFERENCES,
    EVAL_RESULTS,
    EVAL_SCORES,
    JUDGMENTS,
    PREDICTED_ACTUAL,
    RAW_INSTRUCTIONS,
    RESPONSES,
    REWARDS,
    SELECTED_SUBSET,
    STUDENT_RESPONSES,
    SUITABILITY,
    TUNED_CHECKPOINT,
    Table,
)
from preceptor.lake.store import Partition
from preceptor.losses.score import loss_fingerprint
from preceptor.records import records_identity
from preceptor.report.publish import REPORT_TABLES, report_fingerprint, report_uri
from preceptor.rewards.score_file import read_scores
from preceptor.selection.conversations import CONVERSATION_TABLES
from preceptor.selection.recipes import selection_fingerprint, selection_places
from preceptor.study.reward_models import AnyRewardModel, RecordedRewardModel
from preceptor.study.schema import Study
from preceptor.study.untuned import untuned_name, untuned_runs
from preceptor.suitability.table import car_fingerprint, suitability_fingerprint, sweep_fingerprint
from preceptor.tuning.task import task_fingerprint
from preceptor.tuning.untuned import untuned_fingerprint
from preceptor.unchanged.settings import evaluated, said_of
from preceptor.unchanged.tables import DoubtError, LiveTables

Place = tuple[Table, Partition]
Key = Mapping[str, str]  # a partition's name in each dimension


@dataclass(frozen=True)
class Dependence:
    """The inputs and outputs of one step.

    - `made_of`: the settings, as JSON-compatible data.
    - `reads`, `writes`: the partitions that the step reads and writes.
    - `shared`: partitions that other steps add to. What this step wrote there stays.
    - `stored`: other results of the step, beside its current rows.
    """

    made_of: Any
    reads: tuple[Place, ...] = ()
    writes: tuple[Place, ...] = ()
    shared: tuple[Place, ...] = ()
    stored: Any = None


def dependence(study: Study, asset: str, key: Key, tables: LiveTables) -> Dependence:
    """The inputs and outputs of a step now.

    Raises DoubtError, or any error of the study's files, models and tables. The step must then run.
    """
    return STEPS[asset](study, key, tables)


def _raw_instructions(study: Study, _: Key, __: LiveTables) -> Dependence:
    instructions = study.instructions
    made_of = [instructions_fingerprint(instructions), said_of(instructions), said_of(study.limits)]
    return Dependence(made_of, writes=((RAW_INSTRUCTIONS, {}),))


def _responses(study: Study, key: Key, _: LiveTables) -> Dependence:
    teacher = study.teacher(key["teacher"])
    return Dependence(
        [responses_fingerprint(teacher), said_of(teacher), said_of(study.limits)],
        reads=((RAW_INSTRUCTIONS, {}),),
        writes=((RESPONSES, key),),
    )


def _rewards(study: Study, key: Key, tables: LiveTables) -> Dependence:
    model = study.reward_model(key["reward_model"])
    made_of = [rewards_fingerprint(model, key["teacher"]), said_of(model), said_of(study.limits)]
    return Dependence(
        [*made_of, said_of(study.car.reward_map), _unread(model)],
        reads=((RAW_INSTRUCTIONS, {}), (RESPONSES, {"teacher": key["teacher"]})),
        writes=((REWARDS, key),),
        stored=tables.earlier_rewards(key),
    )


def _base_losses(study: Study, key: Key, _: LiveTables) -> Dependence:
    base = study.base(key["base"])
    return Dependence(
        [loss_fingerprint(base), said_of(base), said_of(study.limits)],
        reads=((RAW_INSTRUCTIONS, {}), (RESPONSES, {"teacher": key["teacher"]})),
        writes=((BASE_LOSSES, key),),
    )


def _car_table(study: Study, _: Key, tables: LiveTables) -> Dependence:
    fingerprint = car_fingerprint(study, _current(study), _versions(tables, *ROW_TABLES))
    return Dependence([fingerprint, said_of(study.limits)], _whole(*ROW_TABLES), _whole(CAR_TABLE))


def _car_beta_sweep(study: Study, _: Key, tables: LiveTables) -> Dependence:
    fingerprint = sweep_fingerprint(study, _current(study), _versions(tables, *ROW_TABLES))
    return Dependence(fingerprint, _whole(*ROW_TABLES), _whole(CAR_BETA_SWEEP))


def _suitability(study: Study, _: Key, tables: LiveTables) -> Dependence:
    fingerprint = suitability_fingerprint(study, _current(study), _versions(tables, *ROW_TABLES))
    return Dependence(fingerprint, _whole(*ROW_TABLES), _whole(SUITABILITY))


def _selected_subset(study: Study, key: Key, _: LiveTables) -> Dependence:
    name = key["recipe"]
    # `read` stays empty: `reads` identifies the files, with their signatures.
    fingerprint = selection_fingerprint(study, name, _current(study), read={})
    return Dependence(
        [fingerprint, said_of(study.recipe(name))],
        reads=tuple(selection_places(study, name)),
        writes=((SELECTED_SUBSET, key),),
    )


def _tuned_checkpoint(study: Study, key: Key, tables: LiveTables) -> Dependence:
    run, lake = study.run(key["run"]), tables.lake
    chosen = {"recipe": run.recipe}
    reads = ((table, chosen if table == SELECTED_SUBSET else {}) for table in CONVERSATION_TABLES)
    folders = folder_uri(lake, "checkpoints", run.name)
    manifests = {uri: read_manifest(lake, uri) for uri in published(lake, "checkpoints", run.name)}
    return Dependence(
        [_settings_of(study, run.name), said_of(run), said_of(study.base(run.base))],
        reads=tuple(reads),
        writes=((TUNED_CHECKPOINT, key),),
        stored=[manifests, file_sizes(lake, folders)],
    )


def _eval_results(study: Study, key: Key, tables: LiveTables) -> Dependence:
    evaluation, run = study.evaluation(key["benchmark"]), study.run(key["run"])
    made_of = [evaluated(evaluation), said_of(study.base(run.base)), said_of(study.limits)]
    return Dependence(
        [*made_of, kind_of(evaluation).fetched(tables.lake)],
        reads=((TUNED_CHECKPOINT, {"run": run.name}), (RAW_INSTRUCTIONS, {})),
        writes=((EVAL_RESULTS, key), (EVAL_SCORES, key), (JUDGMENTS, key)),
        shared=(
            (STUDENT_RESPONSES, {"run": run.name}),
        ),  # benchmarks with the same prompts share a partition
    )


def _base_results(study: Study, key: Key, tables: LiveTables) -> Dependence:
    base, evaluation = study.base(key["base"]), study.evaluation(key["benchmark"])
    run = untuned_name(base.name)
    place = {"run": run, "benchmark": evaluation.name}
    return Dependence(
        [
            untuned_fingerprint(base),
            said_of(base),
            evaluated(evaluation),
            said_of(study.limits),
            kind_of(evaluation).fetched(tables.lake),
        ],
        writes=((EVAL_RESULTS, place), (EVAL_SCORES, place), (JUDGMENTS, place)),
        shared=((STUDENT_RESPONSES, {"run": run}),),
    )


def _study_report(study: Study, _: Key, tables: LiveTables) -> Dependence:
    found = {table.name: tables.version(table) for table in REPORT_TABLES}
    versions = {name: version for name, version in found.items() if version is not None}
    _current(study)
    results: list[Any] = [
        rewards_fingerprint(model, teacher.name)
        for model in study.reward_models
        for teacher in study.teachers
    ]
    results += [_settings_of(study, run.name) for run in study.runs]
    results += [untuned_fingerprint(study.base(base)) for base in untuned_runs(study).values()]
    results += [evaluated(evaluation) for evaluation in study.evaluations]
    return Dependence(
        [report_fingerprint(study, versions), results],
        reads=_whole(*REPORT_TABLES),
        writes=_whole(PREDICTED_ACTUAL, EVAL_DIFFERENCES),
        stored=read_text(tables.lake, report_uri(tables.lake)),
    )


STEPS: Mapping[str, Callable[[Study, Key, LiveTables], Dependence]] = {
    "raw_instructions": _raw_instructions,
    "responses": _responses,
    "rewards": _rewards,
    "base_losses": _base_losses,
    "car_table": _car_table,
    "car_beta_sweep": _car_beta_sweep,
    "suitability": _suitability,
    "selected_subset": _selected_subset,
    "tuned_checkpoint": _tuned_checkpoint,
    "eval_results": _eval_results,
    "base_results": _base_results,
    "study_report": _study_report,
}


def _whole(*tables: Table) -> tuple[Place, ...]:
    return tuple((table, {}) for table in tables)


def _versions(tables: LiveTables, *wanted: Table) -> dict[str, int]:
    found = {table.name: tables.version(table) for table in wanted}
    known = {name: version for name, version in found.items() if version is not None}
    if known.keys() != found.keys():
        raise DoubtError(f"not made yet: {', '.join(found.keys() - known.keys())}")
    return known


def _current(study: Study) -> Current:
    """The current fingerprints. Raises DoubtError if a teacher's or base's model or file is missing."""
    current = current_fingerprints(study)
    if lost := {**current.lost_teachers, **current.lost_bases}:
        raise DoubtError(f"not found: {lost}")
    return current


def _settings_of(study: Study, run_name: str) -> str:
    """The run's fingerprint without its rows, which `reads` covers."""
    run = study.run(run_name)
    return task_fingerprint(study.base(run.base), study.tuning(run.tuning), run.seed, rows="")


def _unread(model: AnyRewardModel) -> Any:
    """The part of a score file that is in every teacher's result: its unreadable rows."""
    if not isinstance(model, RecordedRewardModel):
        return None
    if model.path is None:
        return records_identity(model)
    file = read_scores(model)
    return [file.bad_rows, file.read] if file.bad_rows else None
