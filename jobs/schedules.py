"""Schedules: what is made again although nothing in the study changed."""

from collections.abc import Iterator

import dagster as dg

from assets.responses import responses
from assets.rewards import rewards
from assets.study import STUDY, teachers


@dg.schedule(cron_schedule="0 3 * * 1", target=dg.AssetSelection.assets(rewards.key))
def rescore_weekly(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Every teacher's rewards by the reward models of today; the ranking and the report follow.

    A model whose hub revision moved, or whose settings changed, scores again. Where it is the same no model
    is loaded. Off until somebody starts it: it may cost GPU hours.
    """
    answered = context.instance.get_materialized_partitions(responses.key)
    for teacher in teachers.get_partition_keys(dynamic_partitions_store=context.instance):
        for model in STUDY.reward_models if teacher in answered else ():
            key = dg.MultiPartitionKey({"reward_model": model.name, "teacher": teacher})
            yield dg.RunRequest(partition_key=key)
