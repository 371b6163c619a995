"""`make study` in this process, recording which steps Dagster runs and which files they open."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import dagster as dg
import pytest
import yaml

from jobs.home import open_instance
from jobs.receipts import live_tables
from jobs.steps import Step, steps
from jobs.unchanged import Unchanged
from preceptor.lake.store import Lake
from preceptor.study.load import read_study
from tests.assets.served import code_location

opened: list[str] | None = None


def _note(event: str, arguments: tuple) -> None:
    if event == "open" and opened is not None:
        opened.append(str(arguments[0]))


sys.addaudithook(_note)  # cannot be removed; it does nothing unless a step is watched


@dataclass
class Made:
    """A study on disk and its stores. `ran` lists the steps of a run, `tables` and `files` what they open."""

    folder: Path
    store: str = "store"
    home: str = "dagster"
    ran: list[str] = field(default_factory=list)
    tables: dict[str, set[str]] = field(default_factory=dict)
    files: dict[str, set[str]] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.folder / "small.yaml"

    def change(self, path: str, value: object) -> None:
        """Set the value at a dotted path of the study file."""
        study = yaml.safe_load(self.file.read_text())
        part = study
        *parents, last = path.split(".")
        for name in parents:
            part = part.setdefault(name, {}) if isinstance(part, dict) else part[int(name)]
        part[last] = value
        self.file.write_text(yaml.safe_dump(study))

    @contextmanager
    def environment(self) -> Iterator[pytest.MonkeyPatch]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PRECEPTOR_STORE", str(self.folder / self.store))
            patch.setenv("DAGSTER_HOME", str(self.folder / self.home))
            patch.setenv("PRECEPTOR_STUDY", str(self.file))
            patch.delenv("PRECEPTOR_RETRY_FAILED", raising=False)
            yield patch

    def run(self, capsys: pytest.CaptureFixture[str]) -> str:
        """Run `make study` in this process; returns its output. `ran` then lists the steps that ran."""
        self.ran, logger = [], logging.getLogger("preceptor")
        handlers, level = logger.handlers[:], logger.level
        with self.environment() as patch, code_location(self.file):
            study_run = import_module("jobs.run_study")
            patch.setattr(sys, "argv", ["run_study", str(self.file)])
            patch.setattr(study_run, "materialize", self._spied(study_run.materialize, patch))
            with pytest.raises(SystemExit) as ended:
                study_run.main()
        logger.handlers, logger.level = handlers, level
        said = capsys.readouterr().out
        assert ended.value.code == 0, said
        return said

    def _spied(self, materialize: Callable, patch: pytest.MonkeyPatch) -> Callable:
        def spied(step: Step, instance: dg.DagsterInstance) -> object:
            global opened
            tables: set[str] = set()
            self.ran.append(str(step))
            original = Lake.open
            with pytest.MonkeyPatch.context() as inner:
                inner.setattr(
                    Lake,
                    "open",
                    lambda s, table, *a, **k: (tables.add(table.name), original(s, table, *a, **k))[1],
                )
                # Reads that only compute the state are not reads of the step.
                module = sys.modules["jobs.materialize"]
                for name in ("fresh_state", "fresh_inputs"):
                    inner.setattr(module, name, self._unwatched(getattr(module, name), tables))
                opened = []
                try:
                    return materialize(step, instance)
                finally:
                    self.tables[str(step)] = tables
                    own = [name for name in opened if self._is_data(name)]
                    self.files[str(step)], opened = set(own), None

        return spied

    @staticmethod
    def _unwatched(state: Callable, tables: set[str]) -> Callable:
        def look(*arguments: object) -> object:
            global opened
            seen, files = set(tables), opened
            opened = None
            try:
                return state(*arguments)
            finally:
                tables.intersection_update(seen)
                opened = files

        return look

    def _is_data(self, name: str) -> bool:
        inside = name.startswith(f"{self.folder}/")
        return inside and not name.startswith((f"{self.folder}/{self.store}", f"{self.folder}/{self.home}"))

    def to_run(self, retry_failed: bool = False) -> set[str]:
        """The steps that the next run would run."""
        with self.environment():
            study = read_study(str(self.file)).study
            planned = list(steps(study))
            live_tables(study).forget()
            unchanged = Unchanged(study, open_instance(study), planned, retry_failed)
            return {str(step) for step in planned if unchanged.result(step) is None}

    def step(self, name: str) -> Step:
        study = read_study(str(self.file)).study
        return next(step for step in steps(study) if str(step) == name)

    @property
    def lake(self) -> Lake:
        return Lake(str(self.folder / self.store), "small")

    def receipts(self, asset: str) -> list[Path]:
        return sorted((self.folder / self.home / "receipts" / asset).glob("*.json"))
