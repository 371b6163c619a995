"""Dagster's home, the folder with a study's run history: create and open it, and explain its errors."""

import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from preceptor.lake.folders import alone
from preceptor.lake.place import ESCAPE
from preceptor.study.schema import Study

CHECKOUT = Path(__file__).parent.parent
# The home's path becomes part of a database URL in SQLAlchemy, and of a glob pattern in Dagster.
UNUSABLE = rf"{ESCAPE}|[?*\[\]\x00-\x1f\x7f]"
TROUBLE = (SQLAlchemyError, sqlite3.Error, OSError)


class HomeError(RuntimeError):
    """A home that cannot be used; the message names the folder, the reason and the fix."""


def open_instance(study: Study) -> dg.DagsterInstance:
    """Open the instance in DAGSTER_HOME, or in .dagster/<study> of the checkout; create it if it is missing.

    Raises HomeError.
    """
    home = home_folder(study)
    with told(home):
        home.mkdir(parents=True, exist_ok=True)
        with alone(home):  # Dagster fails if two processes create its tables at once
            if not (home / "dagster.yaml").exists():
                incoming = home / f".dagster.yaml-{os.getpid()}"
                shutil.copy(Path(__file__).with_name("dagster.yaml"), incoming)
                incoming.replace(home / "dagster.yaml")
            instance = dg.DagsterInstance.get()
            instance.get_runs(limit=1)  # raises if the home cannot be read
        return instance


def home_folder(study: Study) -> Path:
    """The home's path; sets DAGSTER_HOME to it, for this process and its children. Raises HomeError."""
    given = os.environ.get("DAGSTER_HOME") or str(CHECKOUT / ".dagster" / study.name)
    try:
        home = str(Path(given).expanduser().absolute())
    except RuntimeError as error:
        raise HomeError(f"DAGSTER_HOME={given}: there is no such user; set it to a folder") from error
    if found := re.search(UNUSABLE, home):
        raise HomeError(
            f"the path of Dagster's home {home!r} contains {found[0]!r}, which Dagster's database URL cannot"
            " hold: set DAGSTER_HOME to a folder without it"
        )
    os.environ["DAGSTER_HOME"] = home
    return Path(home)


@contextmanager
def told(home: str | Path) -> Iterator[None]:
    """Turn errors of a home on a full, read-only or broken disk into a HomeError with one sentence."""
    try:
        yield
    except TROUBLE as error:
        reason = " ".join(str(getattr(error, "orig", None) or error).split())
        raise HomeError(
            f"Dagster's home {home} cannot be used: {reason}. Set DAGSTER_HOME to a folder with space and"
            " write access. The rows in the lake are complete; run the same command to resume"
        ) from error
