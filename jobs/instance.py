"""A study's Dagster instance: end dead runs, and keep its partitions equal to the study's."""

from collections.abc import Sequence

import dagster as dg

from jobs.processes import Fate, fate
from preceptor.study.changes import Change, change, membership
from preceptor.study.load import ReadStudy
from preceptor.study.schema import Study

ASSET = "preceptor/asset"
WILL_RETRY, RETRIED = "dagster/will_retry", "dagster/auto_retry_run_id"  # tags that Dagster sets
GOING = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]
UNSETTLED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.CANCELING,
]  # the process may be killed just as it starts or ends


def assets_of(run: dg.DagsterRun) -> set[dg.AssetKey]:
    """The assets of a run. Runs of jobs.run_study have a tag in place of a selection."""
    if ASSET in run.tags:
        return {dg.AssetKey(run.tags[ASSET])}
    return set(run.asset_selection or ())


def release_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs as failed whose process on this machine was killed, and free their slots.

    Returns one sentence per run. Without this, the next GPU step would wait forever for a dead run's slot.
    """
    under_way = instance.get_runs(dg.RunsFilter(statuses=[*GOING, *UNSETTLED]))
    dead = [run.run_id for run in under_way if fate(run.tags) == Fate.GONE]
    # Read again: the process may have finished its run normally in the meantime.
    killed = [run for run in map(instance.get_run_by_id, dead) if run is not None and not run.is_finished]
    for run in killed:
        release(instance, run)
    for run_id in holders(instance):  # a run may be marked as ended while its slot was not freed
        holder = instance.get_run_by_id(run_id)
        if holder is None or (holder.is_finished and fate(holder.tags) == Fate.GONE):
            instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    return [
        f"run {run.run_id[:8]} ({subject(run)}) was killed; it is marked as failed and its slot is free"
        for run in killed
    ]


def release_served_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark the runs of a stopped server as failed; returns one sentence per run.

    Call it only from the one server of the instance, when no other server's runs can be alive. The next
    daemon retries the runs (`run_retries` in dagster.yaml); they resume from their last commit.
    """
    runs = instance.get_runs(dg.RunsFilter(statuses=[*GOING, dg.DagsterRunStatus.CANCELING]))
    served = [run for run in runs if fate(run.tags) == Fate.UNNAMED]
    for run in served:
        release(instance, run)
    return [f"run {run.run_id} ended with its server; the daemon retries it, at most twice" for run in served]


def runs_of(instance: dg.DagsterInstance, location: str) -> list[dg.DagsterRun]:
    """The runs under way that a code location started. Runs of jobs.run_study have no code location."""
    runs = instance.get_runs(dg.RunsFilter(statuses=GOING))
    origins = [(run, run.remote_job_origin) for run in runs]
    return [
        run
        for run, origin in origins
        if origin is not None and origin.repository_origin.code_location_origin.location_name == location
    ]


def subject(run: dg.DagsterRun) -> str:
    """A run's assets and partition, as text."""
    made = ", ".join(sorted(key.to_user_string() for key in assets_of(run))) or run.job_name
    partition = run.tags.get("dagster/partition", "").replace("|", " × ")
    return f"{made} {partition}".strip()


def holders(instance: dg.DagsterInstance) -> list[str]:
    """The ids of the runs that hold a slot of any pool."""
    storage = instance.event_log_storage
    pools = storage.get_concurrency_infos(sorted(storage.get_concurrency_keys()))
    return list(dict.fromkeys(slot.run_id for pool in pools.values() for slot in pool.claimed_slots))


def release(instance: dg.DagsterInstance, run: dg.DagsterRun, why: str = "its process was killed") -> None:
    """Mark a run as failed whose process is gone, and free its slots."""
    instance.report_run_failed(run, why)
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def unfinished(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a run is under way or waits for the daemon's retry; False for a deleted run."""
    run = instance.get_run_by_id(run_id)
    if run is None:
        return False
    return run.status in GOING or (run.tags.get(WILL_RETRY) == "true" and RETRIED not in run.tags)


def present(instance: dg.DagsterInstance, study: Study) -> dict[str, Sequence[str]]:
    """The teachers and bases that have a partition."""
    return {kind: instance.get_dynamic_partitions(f"{study.name}/{kind}") for kind in membership(study)}


def partition_changes(instance: dg.DagsterInstance, read: ReadStudy) -> list[Change]:
    """The partitions to add and to delete so that they equal the study's.

    None is deleted while a teacher file cannot be read: the file may define any teacher.
    """
    wanted, keys = membership(read.study), present(instance, read.study)
    return [change(kind, keys[kind], names, whole=not read.left_out) for kind, names in wanted.items()]


def synchronise(instance: dg.DagsterInstance, read: ReadStudy) -> list[str]:
    """Make the partitions of teachers and bases equal the study's; returns one sentence per change.

    A removed teacher loses its partition key but keeps its rows.
    """
    sentences = []
    for changed in partition_changes(instance, read):
        keys = f"{read.study.name}/{changed.kind}"
        if changed.joined:
            instance.add_dynamic_partitions(keys, list(changed.joined))
        for name in changed.left:
            instance.delete_dynamic_partition(keys, name)
        sentences += changed.sentences()
    return sentences
