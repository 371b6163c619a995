"""A fault that Preceptor knows by name: in Dagster's UI a run's page begins with its sentence."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

import dagster as dg

OURS = ("preceptor", "resources")
Compute = TypeVar("Compute", bound=Callable[..., Any])


class Failed(dg.Failure):
    """Why a step cannot go on, in words.

    Dagster shows an error's class and text, then its traceback; of any other error than a `Failure` it shows
    its own traceback first. The error itself stays the cause.
    """

    __module__ = "builtins"  # of these classes alone a traceback names no module: the sentence comes first


def told(compute: Compute) -> Compute:
    """Let errors of our own classes fail an asset or op as `Failed`; any other keeps its traceback."""

    @wraps(compute)
    def returning(*args: Any, **named: Any) -> Any:
        with _told():
            return compute(*args, **named)

    @wraps(compute)
    def yielding(*args: Any, **named: Any) -> Iterator[Any]:
        with _told():
            yield from compute(*args, **named)

    return yielding if inspect.isgeneratorfunction(compute) else returning  # type: ignore[return-value]


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if type(error).__module__.split(".")[0] not in OURS or not str(error):
            raise
        raise Failed(str(error)) from error


def error_sentence(message: str) -> str:
    """An error's text; our own errors speak for themselves, without the name of their class."""
    name, _, text = message.strip().partition(": ")
    ours = name.startswith("preceptor.") or name == "Failed"
    return text if ours and text else message.strip()
