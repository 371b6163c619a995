"""What a study's Dagster instance holds: runs under way, and partitions as the study declares them."""

from collections.abc import Sequence

import dagster as dg

from jobs.processes import Fate, fate
from preceptor.study.changes import Change, change, membership
from preceptor.study.load import ReadStudy
from preceptor.study.schema import Study

ASSET = "preceptor/asset"
WILL_RETRY, RETRIED = "dagster/will_retry", "dagster/auto_retry_run_id"  # Dagster's own
GOING = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]
UNSETTLED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.CANCELING,
]  # killed at its first or last moment


def assets_of(run: dg.DagsterRun) -> set[dg.AssetKey]:
    """What a run makes; those of jobs.run_study have no selection, and a tag instead."""
    if ASSET in run.tags:
        return {dg.AssetKey(run.tags[ASSET])}
    return set(run.asset_selection or ())


def release_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """End the runs whose process on this machine was killed, and give back the slots that they hold.

    Returns what was ended, in words. Without this the next GPU step would wait for ever for the pool of a run
    that is no more.
    """
    under_way = instance.get_runs(dg.RunsFilter(statuses=[*GOING, *UNSETTLED]))
    dead = [run.run_id for run in under_way if fate(run.tags) == Fate.GONE]
    # Asked again: who is gone by now may have ended his run in the meantime, as it should be.
    killed = [run for run in map(instance.get_run_by_id, dead) if run is not None and not run.is_finished]
    for run in killed:
        release(instance, run)
    for run_id in holders(instance):  # one that was ended in the books just before its releaser was killed
        holder = instance.get_run_by_id(run_id)
        if holder is None or (holder.is_finished and fate(holder.tags) == Fate.GONE):
            instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    return [f"run {run.run_id[:8]} ({subject(run)}) was killed: ended, its slot is free" for run in killed]


def release_served_runs(instance: dg.DagsterInstance) -> list[str]:
    """End the runs of a server that is no more; returns what that was, in words.

    Only for who alone serves the instance: whoever else started a run through it must be gone. The next
    daemon starts them again (`run_retries` in dagster.yaml), and they go on from what they committed.
    """
    runs = instance.get_runs(dg.RunsFilter(statuses=[*GOING, dg.DagsterRunStatus.CANCELING]))
    served = [run for run in runs if fate(run.tags) == Fate.UNNAMED]
    for run in served:
        release(instance, run)
    return [
        f"run {run.run_id} ended with its server; the daemon starts it again, twice at most" for run in served
    ]


def runs_of(instance: dg.DagsterInstance, location: str) -> list[dg.DagsterRun]:
    """The runs under way that a code location has started; what jobs.run_study runs is in none."""
    runs = instance.get_runs(dg.RunsFilter(statuses=GOING))
    origins = [(run, run.remote_job_origin) for run in runs]
    return [
        run
        for run, origin in origins
        if origin is not None and origin.repository_origin.code_location_origin.location_name == location
    ]


def subject(run: dg.DagsterRun) -> str:
    """What a run makes, and of which partition."""
    made = ", ".join(sorted(key.to_user_string() for key in assets_of(run))) or run.job_name
    partition = run.tags.get("dagster/partition", "").replace("|", " × ")
    return f"{made} {partition}".strip()


def holders(instance: dg.DagsterInstance) -> list[str]:
    """The ids of the runs that hold a slot of some pool."""
    storage = instance.event_log_storage
    pools = storage.get_concurrency_infos(sorted(storage.get_concurrency_keys()))
    return list(dict.fromkeys(slot.run_id for pool in pools.values() for slot in pool.claimed_slots))


def release(instance: dg.DagsterInstance, run: dg.DagsterRun, why: str = "its process was killed") -> None:
    """End a run whose process is gone, and give back the slots that it holds."""
    instance.report_run_failed(run, why)
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def unfinished(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a run is still to be ended, or to be started again by the daemon; not one that was deleted."""
    run = instance.get_run_by_id(run_id)
    if run is None:
        return False
    return run.status in GOING or (run.tags.get(WILL_RETRY) == "true" and RETRIED not in run.tags)


def present(instance: dg.DagsterInstance, study: Study) -> dict[str, Sequence[str]]:
    """The teachers and bases that have a partition now."""
    return {kind: instance.get_dynamic_partitions(f"{study.name}/{kind}") for kind in membership(study)}


def partition_changes(instance: dg.DagsterInstance, read: ReadStudy) -> list[Change]:
    """Which of the instance's partitions are to come and go, so that they are the study's.

    Nobody leaves while a teacher file cannot be read: it may be theirs.
    """
    wanted, keys = membership(read.study), present(instance, read.study)
    return [change(kind, keys[kind], names, whole=not read.left_out) for kind, names in wanted.items()]


def synchronise(instance: dg.DagsterInstance, read: ReadStudy) -> list[str]:
    """Make the teachers' and bases' partitions those of the study; returns what changed, in words.

    A teacher that left loses its partition key, not its rows.
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
