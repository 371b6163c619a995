"""What an audit says of one thing that it looked at."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """`holds` is None where nothing was recorded that could be held against what is there now."""

    subject: str
    says: str
    holds: bool | None = True

    def __str__(self) -> str:
        sign = {True: "ok", False: "WRONG", None: "?"}[self.holds]
        return f"{sign:5}  {self.subject}: {self.says}"


def wrong(findings: Iterable[Finding]) -> list[Finding]:
    """Those that do not match."""
    return [finding for finding in findings if finding.holds is False]
