"""The alerts of a finished run: checks that did not pass, and failures."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from preceptor.alerts.alert import Alert, make_alert, readable
from preceptor.text import digest


@dataclass(frozen=True)
class CheckOutcome:
    """The result of one asset check on one partition. `says` is its message."""

    asset: str
    partition: str | None
    check: str
    passed: bool
    says: str

    @property
    def place(self) -> str:
        """The key of the check and partition among remembered failures."""
        return "/".join((self.asset, self.partition or "", self.check))


@dataclass(frozen=True)
class FinishedRun:
    """A run that ended. `failures` is empty if it failed only because a blocking check did not pass.

    `unmade` names the assets that it should have materialized but did not. `told_by` is the `place` of a
    check that already reports the run's failure.
    """

    id: str
    partition: str | None
    checks: tuple[CheckOutcome, ...] = ()
    failures: tuple[str, ...] = ()
    unmade: tuple[str, ...] = ()
    ranked: bool = False  # the run materialized `car_table`, or found nothing to rank yet
    asked_again: bool = False  # Dagster retries the run automatically
    told_by: str | None = None

    def without(self, asset: str) -> tuple["FinishedRun", "FinishedRun"]:
        """The run without an asset's checks, and the run with only these checks."""
        of_asset = tuple(outcome for outcome in self.checks if outcome.asset == asset)
        others = tuple(outcome for outcome in self.checks if outcome.asset != asset)
        return replace(self, checks=others), replace(self, checks=of_asset)


def check_alerts(standing: dict[str, str], run: FinishedRun) -> tuple[list[Alert], dict[str, str]]:
    """Alerts for new failures and for failures with a changed message, and all failures that remain."""
    alerts, after = [], dict(standing)
    for outcome in run.checks:
        if outcome.passed:
            after.pop(outcome.place, None)
        elif after.get(outcome.place) != (says := digest(outcome.says)):
            after[outcome.place] = says
            alerts.append(_check_alert(outcome, run.id))
    return alerts, after


def run_alerts(run: FinishedRun, mend: str) -> Iterable[Alert]:
    """An alert for a failed run, unless Dagster retries it. `mend` tells how to repair it."""
    if not run.failures or run.asked_again:
        return
    mend = mend if run.unmade else "See the run's page in the UI"
    where, error = _where(", ".join(run.unmade), run.partition), "; ".join(run.failures).rstrip(".")
    yield make_alert(
        "run_failed",
        f"run {run.id[:8]} failed{f' ({where})' if where else ''}: {error}. {mend}",
        run=run.id,
        assets=", ".join(run.unmade),
        partition=run.partition,
        error=readable(error),
    )


def _check_alert(outcome: CheckOutcome, run: str) -> Alert:
    return make_alert(
        "check_failed",
        f"{_where(outcome.asset, outcome.partition)}: check {outcome.check} did not pass: {outcome.says}"
        f" (run {run[:8]})",
        run=run,
        asset=outcome.asset,
        partition=outcome.partition,
        check=outcome.check,
        says=outcome.says,
    )


def _where(asset: str, partition: str | None) -> str:
    return " ".join([asset, (partition or "").replace("|", " × ")]).strip()
