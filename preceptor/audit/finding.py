"""The result of one check of an audit."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """The result of one check. `holds` is None if nothing was recorded that it could compare with."""

    subject: str
    says: str
    holds: bool | None = True

    def __str__(self) -> str:
        sign = {True: "ok", False: "WRONG", None: "?"}[self.holds]
        return f"{sign:5}  {self.subject}: {self.says}"


def wrong(findings: Iterable[Finding]) -> list[Finding]:
    """The findings that do not match."""
    return [finding for finding in findings if finding.holds is False]
