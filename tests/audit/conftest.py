"""One small study for all audit tests. It is made once and copied for tests that damage it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from preceptor.audit.audit import Audit
from preceptor.audit.checkpoint import audit_checkpoint
from preceptor.audit.finding import wrong
from preceptor.lake.store import Lake
from preceptor.study.schema import Study
from resources.warehouse import SQL
from tests.audit.lakes import rank, tune, write_small


@dataclass
class Case:
    folder: Path
    study: Study

    @property
    def lake(self) -> Lake:
        return Lake(str(self.folder / "store"), "small")

    @property
    def home(self) -> Path:
        return Path(self.lake.home)

    def audit(self, run: str = "a-brief") -> Audit:
        return audit_checkpoint(self.lake, SQL, run)

    def problems(self) -> str:
        return "\n".join(str(finding) for finding in wrong(self.audit().findings))


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Case:
    folder = tmp_path_factory.mktemp("made")
    case = Case(folder, write_small(folder))
    rank(case.study, case.lake)
    tune(case.study, case.lake)
    return case


@pytest.fixture
def case(made, tmp_path) -> Case:
    shutil.copytree(made.folder / "store", tmp_path / "store")
    return Case(tmp_path, made.study)
