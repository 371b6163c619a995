"""Dagster's home, the folder of a study's history: made by one process at a time, its troubles in words."""

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
# SQLAlchemy takes the path of a database from a URL, and Dagster lists its databases by a pattern.
UNUSABLE = rf"{ESCAPE}|[?*\[\]\x00-\x1f\x7f]"
TROUBLE = (SQLAlchemyError, sqlite3.Error, OSError)


class HomeError(RuntimeError):
    """A home that cannot be used; its text says which, why, and what to do."""


def open_instance(study: Study) -> dg.DagsterInstance:
    """The instance in DAGSTER_HOME, or in .dagster/<study> of the checkout, made where it does not exist.

    Raises HomeError.
    """
    home = home_folder(study)
    with told(home):
        home.mkdir(parents=True, exist_ok=True)
        with alone(home):  # Dagster's storages are not made for two who make their tables at once
            if not (home / "dagster.yaml").exists():
                incoming = home / f".dagster.yaml-{os.getpid()}"
                shutil.copy(Path(__file__).with_name("dagster.yaml"), incoming)
                incoming.replace(home / "dagster.yaml")
            instance = dg.DagsterInstance.get()
            instance.get_runs(limit=1)  # of a home that cannot be read this knows first
        return instance


def home_folder(study: Study) -> Path:
    """Where the home lies; DAGSTER_HOME says so for whatever this process starts. Raises HomeError."""
    given = os.environ.get("DAGSTER_HOME") or str(CHECKOUT / ".dagster" / study.name)
    try:
        home = str(Path(given).expanduser().absolute())
    except RuntimeError as error:
        raise HomeError(f"DAGSTER_HOME={given}: there is no such user, whose home it could lie in") from error
    if found := re.search(UNUSABLE, home):
        raise HomeError(
            f"{home!r}: no {found[0]!r} can be in the path of Dagster's home, which becomes part of a URL:"
            " set DAGSTER_HOME to a folder without it"
        )
    os.environ["DAGSTER_HOME"] = home
    return Path(home)


@contextmanager
def told(home: str | Path) -> Iterator[None]:
    """Make a sentence of whatever a home on a full, read-only or broken disk raises. Raises HomeError."""
    try:
        yield
    except TROUBLE as error:
        reason = " ".join(str(getattr(error, "orig", None) or error).split())
        raise HomeError(
            f"Dagster's home {home} cannot be used: {reason}. Set DAGSTER_HOME to a place with space and"
            " write access; the rows in the lake are whole, and the same command goes on from there"
        ) from error
