"""When assets are materialized without anybody asking. Tuning and what leads to it never are.

A request handles what happened before it and nothing later: what happens on the very tick after it, or while
its run goes on, counts anew. (`since_last_handled`, which `eager()` stands on, forgets such an update.)
"""

from datetime import timedelta

import dagster as dg

C = dg.AutomationCondition

# Stale: the weekly re-score (jobs/schedules.py) did not happen, or nothing came of it, once; twice.
WEEKLY = dg.FreshnessPolicy.time_window(warn_window=timedelta(days=8), fail_window=timedelta(days=15))


def when_data_changed() -> dg.AutomationCondition[dg.AssetKey]:
    """A partition that nobody has made yet, or whose dependency has other data than before.

    A dependency that was materialized again with the same data starts nothing. A partition that failed is
    asked for once.
    """
    happened = C.newly_missing() | C.any_deps_match(C.data_version_changed())
    return (
        _unhandled(happened) & ~C.any_deps_missing() & ~C.any_deps_in_progress() & ~C.in_progress()
    ).with_label("when_data_changed")


def when_updated(*deps: str, needed: tuple[str, ...], last: str) -> dg.AutomationCondition[dg.AssetKey]:
    """After every update of one of `deps`, once there is something of each of `needed`.

    What is missing or still computing does not block: it may never finish, and the result names it. Updates
    that come while it runs lead to one more run, however many they are. `last` ends the run that it begins:
    while that is due, another run would only do the same once more.
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
