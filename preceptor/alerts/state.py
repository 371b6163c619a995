"""What the sensor `alerts` remembers from one tick to the next: its cursor."""

from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from preceptor.alerts.alert import Alert, make_alert
from preceptor.alerts.runs import FinishedRun

MOST_PENDING = 200  # a cursor is one cell of a database: it cannot grow for as long as a webhook is dead


class StateError(ValueError):
    """A cursor that cannot be read; its text says what to do."""


class State(BaseModel):
    """All that outlives a tick.

    `after` is the last run event looked at, `announced` the best teacher last told per base, `standing` a
    digest of what each failing check says, `pending` what the webhook has not taken yet, oldest first, and
    `dropped` how many alerts found no place there. A ranking that is due waits until it is settled; `ranking`
    is the run that made it, with its checks.
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
        """The state that a cursor holds. Raises StateError."""
        try:
            return cls.model_validate_json(cursor)
        except ValidationError as error:
            raise StateError(
                f"the cursor of the sensor `alerts` cannot be read ({error.error_count()} mistakes): reset it"
                " in the UI; alerts begin anew then, and what it held for the webhook is in the log"
            ) from error

    def having(self, **fields: object) -> Self:
        """The state with other values in these fields."""
        return self.model_copy(update=fields)

    def awaiting(self, alerts: Sequence[Alert]) -> Self:
        """The state with alerts that are yet to be delivered; the oldest make room, and are counted."""
        pending = (*self.pending, *alerts)
        surplus = max(0, len(pending) - MOST_PENDING)
        return self.having(pending=pending[surplus:], dropped=self.dropped + surplus)

    def drop_notice(self) -> Alert:
        """What a receiver is told before the first alert that was kept."""
        return make_alert(
            "alerts_dropped",
            f"{self.dropped} alerts were dropped while nothing could be delivered: the log has them",
            dropped=self.dropped,
            before=self.pending[0].id if self.pending else None,
        )
