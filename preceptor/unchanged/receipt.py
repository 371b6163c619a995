"""The receipt of a finished step: its state, and its messages, which are repeated if the step is skipped."""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from preceptor.unchanged.state import Inputs, State


@dataclass(frozen=True)
class Receipt:
    """A finished step. `warnings`: failed checks and their messages. `failed`: rows with an error."""

    state: State
    time: datetime
    rows: int
    failed: int = 0
    reason: str | None = None
    score: str | None = None
    warnings: tuple[tuple[str, str], ...] = ()

    def holds_for(self, age: timedelta | None) -> bool:
        """Whether the receipt is at most `age` old. One from the future is invalid: a clock was wrong."""
        passed = datetime.now(UTC) - self.time
        return timedelta() <= passed and (age is None or passed <= age)


def receipts_folder(home: Path) -> Path:
    """The folder of all receipts in Dagster's home. It does not exist before the first step succeeds."""
    return home / "receipts"


def receipt_path(home: Path, asset: str, key: str | None) -> Path:
    """The path of a step's receipt in Dagster's home. Names in a study contain no commas."""
    name = "all" if key is None else key.replace("|", ",")
    return receipts_folder(home) / asset / f"{name}.json"


def read_receipt(path: Path) -> Receipt | None:
    """The receipt, or None if there is none or it cannot be read."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        state = stored["state"]
        warnings = tuple((str(check), str(message)) for check, message in stored["warnings"])
        fields = {
            "state": State(Inputs(**state["inputs"]), state["written"], tuple(state["shared"])),
            "time": datetime.fromisoformat(stored["time"]),
            "warnings": warnings,
        }
        return Receipt(**{**stored, **fields})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_receipt(path: Path, receipt: Receipt) -> None:
    """Write a receipt. On a full disk none is written, and the step runs again next time."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        incoming = path.with_name(f".{os.getpid()}-{path.name}")
        stored = {**asdict(receipt), "time": receipt.time.isoformat()}
        incoming.write_text(json.dumps(stored), encoding="utf-8")
        incoming.replace(path)


def remove_receipt(path: Path) -> None:
    """Remove a receipt, so that its step runs again. Raises OSError if it cannot be removed."""
    path.unlink(missing_ok=True)
