"""When Dagster materializes assets automatically. Selection, tuning and evaluation are never automatic.

A request covers only what happened before it. An update on the next tick, or while the requested run is in
progress, triggers a new request. (`since_last_handled`, which `eager()` uses, would lose such an update.)
"""

from datetime import timedelta

import dagster as dg

C = dg.AutomationCondition

# Warns after one missed or failed weekly re-score (jobs/schedules.py), fails after two.
WEEKLY = dg.FreshnessPolicy.time_window(warn_window=timedelta(days=8), fail_window=timedelta(days=15))


def when_data_changed() -> dg.AutomationCondition[dg.AssetKey]:
    """Materialize a partition that is missing, or whose dependency has new data.

    A dependency that was materialized again with the same data starts nothing. A failed partition is not
    requested again.
    """
    happened = C.newly_missing() | C.any_deps_match(C.data_version_changed())
    return (
        _unhandled(happened) & ~C.any_deps_missing() & ~C.any_deps_in_progress() & ~C.in_progress()
    ).with_label("when_data_changed")


def when_updated(*deps: str, needed: tuple[str, ...], last: str) -> dg.AutomationCondition[dg.AssetKey]:
    """Materialize after every update of one of `deps`, once each asset of `needed` has a partition.

    Partitions that are missing or in progress do not block: they may never finish, and the result lists them.
    All updates during a run lead to one more run. `last` is the last asset of the requested run: until it is
    done, the condition requests no other run.
    """
    happened = C.newly_missing() | C.any_deps_updated().allow(dg.AssetSelection.assets(*deps))
    condition = _unhandled(happened) & ~C.in_progress() & ~C.asset_matches(last, C.in_progress())
    for name in needed:
        condition &= C.any_deps_match(~C.missing() | C.will_be_requested()).allow(
            dg.AssetSelection.assets(name)
        )
    return condition.with_label("when_updated")


def _unhandled(happened: dg.AutomationCondition[dg.AssetKey]) -> dg.AutomationCondition[dg.AssetKey]:
    return happened.since(C.newly_requested() & ~happened)
