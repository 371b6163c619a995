"""Rewards whose content names their fingerprint. As a script: a process that writes such rewards."""

import importlib
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import polars as pl

from preceptor.lake import staging
from preceptor.lake.resume import Work, complete
from preceptor.lake.schemas import REWARDS
from preceptor.lake.store import Lake

REPOSITORY = Path(__file__).parents[2]
CHUNK = 5
READY = b"ready\n"
STAGING = replace(REWARDS, name=f"_staging/{REWARDS.name}")
NAMES = ["a'; drop table--", "org/model", "a%2Fb", "a b:c=d", "..", "é😀\u2028", "null", "*", "a\\b"]
LOOKALIKES = ["2024", "007", "1e3", "true", "2024-01-01"]
UNPARTITIONED = replace(REWARDS, name="unpartitioned", partition_by=())


def partition(teacher="teacher"):
    return {"reward_model": "rm", "teacher": teacher}


def work(count=20, fingerprint="f1", teacher="teacher", first=0, table=REWARDS):
    """Work whose rows are not wanted in the order of their keys."""
    names = [f"r{number:03}" for number in reversed(range(first, first + count))]
    wanted = pl.DataFrame({"response_id": names}, schema={"response_id": pl.String})
    place = partition(teacher) if table.partition_by else {}
    return Work(table, place, fingerprint, ("response_id",), wanted.with_columns(instruction_id=pl.lit("i")))


def answers(wanted, fingerprint="f1"):
    """Rows of `rewards`, different under each fingerprint."""
    made = pl.format("{} under {}", "response_id", pl.lit(fingerprint))
    columns = {"sample": pl.lit(0, pl.Int32), "reward": pl.lit(0.5), "error": made}
    return wanted.select("response_id", "instruction_id", **columns)


def finish(missing, fingerprint="f1"):
    """The rows one by one, as from an engine."""
    yield from in_rows(answers(missing, fingerprint))


def in_rows(frame):
    yield from frame.iter_rows(named=True)


def rewards(count=20, fingerprint="f1", first=0):
    """The rows that complete() publishes for work() with the same arguments."""
    return answers(work(count, first=first).wanted, fingerprint)


def read_rows(lake, table=REWARDS, place=None, version=None):
    return lake.read(table, place, list(table.row_schema), version)


class Writer:
    """A process that completes one teacher's partition each time `go` names a study and a fingerprint.

    Before it computes a chunk, it writes the chunk's rows into a journal. It is killed after two minutes.
    """

    def __init__(self, root, journals, teacher="teacher", count=12, pause=0.0):
        self.journals, self.teacher = journals, teacher
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.lake.samples",
                root,
                str(journals),
                teacher,
                str(count),
                str(pause),
            ],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.limit = threading.Timer(900, self.process.kill)
        self.limit.start()

    def wait(self):
        """Wait until the process is ready for the next `go`."""
        assert self.process.stdout.readline() == READY, "the writer ended early"

    def go(self, study, fingerprint="f1"):
        self.process.stdin.write(f"{study} {fingerprint}\n".encode())
        self.process.stdin.flush()

    def kill(self):
        """Whether the process has become ready again since the last wait()."""
        self.limit.cancel()
        self.process.kill()
        return self.process.communicate()[0] == READY

    def journal(self, study, fingerprint="f1"):
        return journal(self.journals, study, fingerprint, self.teacher).read_text().split()


def run_together(writers, study):
    for writer in writers:
        writer.go(study)
    for writer in writers:
        writer.wait()


def journal(folder, study, fingerprint, teacher):
    return Path(folder) / f"{study} {fingerprint} {teacher}"


def complete_one(root, study, fingerprint, journals, teacher, count, pause):
    def compute(missing):
        for chunk in missing.iter_slices(CHUNK):
            with journal(journals, study, fingerprint, teacher).open("a") as lines:
                lines.write("".join(f"{name}\n" for name in chunk["response_id"]))
            time.sleep(float(pause))
            yield from finish(chunk, fingerprint)

    complete(Lake(root, study), work(int(count), fingerprint, teacher), compute)


def say_ready():
    sys.stdout.buffer.write(READY)
    sys.stdout.flush()


if __name__ == "__main__":
    importlib.import_module("pyarrow.dataset")  # slow to import; kills must hit the work, not the import
    staging.SECONDS_PER_COMMIT = 0.0  # commit each row at once, so that kills hit commits
    say_ready()
    for line in sys.stdin:
        complete_one(sys.argv[1], *line.split(), *sys.argv[2:])
        say_ready()
