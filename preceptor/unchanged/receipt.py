"""What a finished step leaves behind: the state it left, and what it said, to be said again."""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from preceptor.unchanged.state import Inputs, State


@dataclass(frozen=True)
class Receipt:
    """`warnings` are checks that did not pass, and what they say; `failed` counts rows with an error."""

    state: State
    time: datetime
    rows: int
    failed: int = 0
    reason: str | None = None
    score: str | None = None
    warnings: tuple[tuple[str, str], ...] = ()

    def holds_for(self, age: timedelta | None) -> bool:
        """Whether it is no older than that; one from the future is a clock's mistake, and holds no more."""
        passed = datetime.now(UTC) - self.time
        return timedelta() <= passed and (age is None or passed <= age)


def receipts_folder(home: Path) -> Path:
    """Where all receipts lie in Dagster's home; there is no such folder before a step has ended well."""
    return home / "receipts"


def receipt_path(home: Path, asset: str, key: str | None) -> Path:
    """Where a step's receipt lies in Dagster's home. No name of a study holds a comma."""
    name = "all" if key is None else key.replace("|", ",")
    return receipts_folder(home) / asset / f"{name}.json"


def read_receipt(path: Path) -> Receipt | None:
    """The receipt; None where there is none, or none that can be read."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        state = State(
            Inputs(**said["state"]["inputs"]), said["state"]["written"], tuple(said["state"]["shared"])
        )
        warnings = tuple((str(check), str(sentence)) for check, sentence in said["warnings"])
        found = Receipt(**{**said, "state": state, "warnings": warnings})
        return replace(found, time=datetime.fromisoformat(said["time"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_receipt(path: Path, receipt: Receipt) -> None:
    """Keep a receipt; on a full disk there is none, and the step looks at its rows again."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        incoming = path.with_name(f".{os.getpid()}-{path.name}")
        said = {**asdict(receipt), "time": receipt.time.isoformat()}
        incoming.write_text(json.dumps(said), encoding="utf-8")
        incoming.replace(path)


def remove_receipt(path: Path) -> None:
    """Take a receipt away: its step runs again. Raises OSError where that cannot be done."""
    path.unlink(missing_ok=True)
