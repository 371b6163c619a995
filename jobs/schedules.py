"""Schedules: what Dagster materializes again although the study has not changed."""

from collections.abc import Iterator

import dagster as dg

from assets.responses import responses
from assets.rewards import rewards
from assets.study import STUDY, teachers


@dg.schedule(cron_schedule="0 3 * * 1", target=dg.AssetSelection.assets(rewards.key))
def rescore_weekly(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Score every teacher again with the current reward models; the ranking and the report follow.

    A model scores again if its hub revision moved or its settings changed; an unchanged model is not loaded.
    The schedule is off by default, because it may cost GPU hours.
    """
    answered = context.instance.get_materialized_partitions(responses.key)
    for teacher in teachers.get_partition_keys(dynamic_partitions_store=context.instance):
        for model in STUDY.reward_models if teacher in answered else ():
            key = dg.MultiPartitionKey({"reward_model": model.name, "teacher": teacher})
            yield dg.RunRequest(partition_key=key)
