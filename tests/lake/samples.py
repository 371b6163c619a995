"""Rewards whose content says what computed them; as a script, one writer process of such rewards."""

import subprocess
import sys
import time
from pathlib import Path

import polars as pl

from preceptor.lake.resume import Work, complete
from preceptor.lake.schemas import REWARDS
from preceptor.lake.store import Lake

REPOSITORY = Path(__file__).parents[2]
CHUNK = 5


def partition(teacher="teacher"):
    return {"reward_model": "rm", "teacher": teacher}


def answers(wanted, fingerprint="f1"):
    """Rows of `rewards`, different under each fingerprint."""
    made = pl.format("{} under {}", "response_id", pl.lit(fingerprint))
    return wanted.select(
        "response_id", "instruction_id", pl.lit(0, pl.Int32).alias("sample"), reward=0.5, error=made
    )


def work(count=20, fingerprint="f1", teacher="teacher", first=0, table=REWARDS):
    """Work whose wanted order is not the order of its keys."""
    names = [f"r{number:03}" for number in reversed(range(first, first + count))]
    wanted = pl.DataFrame({"response_id": names, "instruction_id": "i"})
    place = partition(teacher) if table.partition_by else {}
    return Work(table, place, fingerprint, ("response_id",), wanted)


def rewards(count=20, fingerprint="f1", first=0):
    """What complete() makes of work() with the same arguments."""
    return answers(work(count, fingerprint, first=first).wanted, fingerprint)


class Writer:
    """A process that completes one partition in chunks; `go` starts it, once it has said that it is up."""

    def __init__(self, lake, teacher, fingerprint, journal, count=60, pause=0.0):
        arguments = [lake.root, lake.study, teacher, fingerprint, str(journal), str(count), str(pause)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.lake.samples", *arguments],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.process.stdout.readline()

    def go(self):
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()

    def ended(self):
        code = self.process.wait(timeout=120)
        self.process.stdin.close()
        self.process.stdout.close()
        return code


def write(root, study, teacher, fingerprint, journal, count, pause):
    def compute(missing):
        for chunk in missing.iter_slices(CHUNK):
            with Path(journal).open("a") as lines:
                lines.write("".join(f"{name}\n" for name in chunk["response_id"]))
            time.sleep(float(pause))
            yield answers(chunk, fingerprint)

    sys.stdout.write("up\n")
    sys.stdout.flush()
    sys.stdin.readline()
    complete(Lake(root, study), work(int(count), fingerprint, teacher), compute)


if __name__ == "__main__":
    write(*sys.argv[1:])
