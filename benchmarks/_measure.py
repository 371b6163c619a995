"""Compare implementations ("sides"), each in its own process: time, values, and memory beyond the weights."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import torch

MIB = 2**20


@dataclass(frozen=True)
class Measured:
    """One side's measurement on some rows; `peak_mib` excludes memory that was allocated before."""

    seconds: float
    tokens: int
    peak_mib: float
    values: list[float]
    facts: dict[str, float]


@dataclass(frozen=True)
class Work:
    """A loaded side: `run` returns a value per row; `tokens` is their total; `facts` are further numbers."""

    run: Callable[[], list[float]]
    tokens: int
    facts: Callable[[], dict[str, float]] = dict


Prepare = Callable[[int, int], Work]  # (first row, number of rows)


class Side:
    """A script run with `--side`. It loads its model once and measures rows in turn with the other sides."""

    def __init__(self, script: str, arguments: list[str]) -> None:
        command = [sys.executable, script, *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()  # type: ignore[union-attr]
        self.process.wait()

    def measure(self, first: int, rows: int) -> Measured:
        """Measure rows of the recorded answers."""
        print(json.dumps([first, rows]), file=self.process.stdin, flush=True)
        for line in self.process.stdout or ():
            if line.startswith("{"):
                return Measured(**json.loads(line))
        raise RuntimeError("a side ended before it returned a measurement")


def take_turns(sides: dict[str, Side], rounds: int, rows: int) -> dict[str, list[Measured]]:
    """Measure all sides on the same rows, with new rows in each round, in alternating order."""
    for side in sides.values():
        side.measure(0, 1)  # warm-up
    found: dict[str, list[Measured]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: -1 if number % 2 else 1]:
            found[name].append(sides[name].measure(number * rows, rows))
    return found


def table(rounds: dict[str, list[Measured]]) -> None:
    """Print a Markdown table. Ratios are medians over rounds of Preceptor's speed divided by the other's."""
    ours = rounds["preceptor"]
    print("| side | tokens/s | Preceptor ÷ it | peak beyond the weights, MiB | largest difference in a row |")
    print("| --- | --- | --- | --- | --- |")
    for name, theirs in rounds.items():
        paired = list(zip(ours, theirs, strict=True))
        ratio = statistics.median(b.seconds / a.seconds for a, b in paired)
        speed = sum(m.tokens for m in theirs) / sum(m.seconds for m in theirs)
        apart = max(abs(x - y) for a, b in paired for x, y in zip(a.values, b.values, strict=True))
        peak = max(m.peak_mib for m in theirs)
        print(f"| {name} | {speed:,.1f} | {ratio:.2f} | {peak:,.0f} | {apart:.1e} |")
    print(f"\n{sum(m.tokens for m in ours):,} tokens; ours in the last round: {ours[-1].facts}")


def serve(prepare: Prepare, device: str) -> None:
    """Serve a `Side` until it closes the pipe. `prepare` is not timed."""
    for line in sys.stdin:
        work = prepare(*json.loads(line))
        before = _held(device, reset=True)
        started = time.perf_counter()
        values = work.run()
        seconds = time.perf_counter() - started
        peak = _held(device, reset=False) - before
        print(json.dumps(asdict(Measured(seconds, work.tokens, peak, values, work.facts()))), flush=True)


def _held(device: str, reset: bool) -> float:
    """MiB allocated by torch on a GPU, or resident on a CPU: now, if `reset`, else the peak since then."""
    if device == "cuda":
        torch.cuda.synchronize()
        if reset:
            torch.cuda.reset_peak_memory_stats()
            return torch.cuda.memory_allocated() / MIB
        return torch.cuda.max_memory_allocated() / MIB
    if reset:
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    lines = Path("/proc/self/status").read_text().splitlines()
    field = "VmRSS:" if reset else "VmHWM:"
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))
