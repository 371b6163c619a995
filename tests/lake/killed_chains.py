"""Processes that run the row steps on one store and are killed, and the rows and files that they left.

They are forked from a server that imported the libraries but has not used them, since none of their thread
pools may exist before a fork.
"""

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

from preceptor.lake.store import Lake
from tests.lake.engine_work import ROWS, STUDY, TABLES, run_chain

FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload(
    ["pytest", "pyarrow.dataset", "transformers.models.llama.modeling_llama", "tests.lake.engine_work"]
)
STAGING = {name: replace(table, name=f"_staging/{name}") for name, table in TABLES.items()}


class Chain:
    """One store. Processes run the row steps on it one after the other, each with its own journal."""

    def __init__(self, folder: Path):
        self.folder, self.number = folder, 0
        folder.mkdir()
        self.lake = Lake(str(folder / "store"), STUDY)

    @property
    def journal(self):
        """The latest process's journal."""
        return self.folder / f"journal-{self.number}"

    def run(self, models, seconds=None):
        """Start a process and kill it after some seconds. Returns whether it was still working."""
        self.number += 1
        process = FORKSERVER.Process(target=run_chain, args=(models, self.lake.root, self.journal))
        process.start()
        process.join(seconds)
        process.kill()
        process.join()
        assert process.exitcode in (0, -9), "the chain failed by itself"
        return process.exitcode == -9

    def until_done(self, models, moments, longest):
        """Run processes until the work is done. Yields after each whether it was killed while working."""
        killed = True
        while killed:
            killed = self.run(models, moments.uniform(0, longest))
            yield killed

    def tables(self):
        """The published rows, sorted by key."""
        return {name: self.lake.read(table).sort(table.key) for name, table in TABLES.items()}

    def staged(self):
        """The number of rows in each staging table."""
        return {
            name: self.lake.read(table, columns=["fingerprint"]).height for name, table in STAGING.items()
        }

    def kept(self, fingerprints):
        """Per table, the instructions whose rows are published, and those whose rows are staged."""
        columns, found = ["instruction_id", "fingerprint"], {}
        for name, table in TABLES.items():
            both = [self.lake.read(place, columns=columns) for place in (table, STAGING[name])]
            mine = [rows.filter(fingerprint=fingerprints[name])["instruction_id"].to_list() for rows in both]
            assert all(len(ids) == len(set(ids)) for ids in mine), f"{name}: a row is there twice"
            found[name] = tuple(map(set, mine))
        return found

    def torn_commits(self):
        """The number of files left by kills that are not commits and that no commit names."""
        torn = 0
        for table in (*TABLES.values(), *STAGING.values()):
            folder = Path(self.lake.uri(table))
            commits = list(folder.glob("_delta_log/*.json"))
            lines = [line for commit in commits for line in commit.read_text().splitlines()]
            named = sum("add" in json.loads(line) for line in lines)
            torn += sum(file.is_file() for file in folder.rglob("*")) - len(commits) - named
        return torn


def phase(kept):
    """The first unfinished table, and its progress."""
    for name, (published, staged) in kept.items():
        if published and staged:
            return f"{name}: published, not cleared"
        if not published:
            return f"{name}: " + {0: "not begun", ROWS: "all staged"}.get(len(staged), "under way")
    return "at its end"
