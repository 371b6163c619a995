"""The cursor of the sensor `alerts`: its memory between ticks."""

from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from preceptor.alerts.alert import Alert, make_alert
from preceptor.alerts.runs import FinishedRun

MOST_PENDING = 200  # a cursor is one database cell, so it must not grow while a webhook is down


class StateError(ValueError):
    """The cursor cannot be read. The message says what to do."""


class State(BaseModel):
    """The sensor's memory.

    - `after`: the last run event that was processed.
    - `ranking_due`: whether a new ranking waits to be examined; `ranking`: its run, with its checks.
    - `announced`: the best teacher last announced per base.
    - `standing`: a digest of each failing check's message.
    - `pending`: alerts that are not delivered yet, oldest first.
    - `dropped`: how many alerts were dropped because `pending` was full.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    after: int
    ranking_due: bool = True
    ranking: FinishedRun | None = None
    announced: dict[str, str] = {}
    standing: dict[str, str] = {}
    pending: tuple[Alert, ...] = ()
    dropped: int = 0

    @classmethod
    def parse(cls, cursor: str) -> Self:
        """Parse a cursor. Raises StateError."""
        try:
            return cls.model_validate_json(cursor)
        except ValidationError as error:
            raise StateError(
                f"the cursor of the sensor `alerts` cannot be read ({error.error_count()} errors): reset it"
                " in the UI. Alerts then start from scratch; undelivered alerts are in the log"
            ) from error

    def having(self, **fields: object) -> Self:
        """A copy with these fields changed."""
        return self.model_copy(update=fields)

    def awaiting(self, alerts: Sequence[Alert]) -> Self:
        """A copy with more pending alerts. If there are too many, the oldest are dropped and counted."""
        pending = (*self.pending, *alerts)
        surplus = max(0, len(pending) - MOST_PENDING)
        return self.having(pending=pending[surplus:], dropped=self.dropped + surplus)

    def drop_notice(self) -> Alert:
        """The alert about dropped alerts, sent before the first remaining one."""
        return make_alert(
            "alerts_dropped",
            f"{self.dropped} alerts were dropped because the webhook was unreachable; they are in the log",
            dropped=self.dropped,
            before=self.pending[0].id if self.pending else None,
        )
