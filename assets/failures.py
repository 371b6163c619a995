"""Show the message of Preceptor's own errors first on a run's page in Dagster's UI."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

import dagster as dg

OURS = ("preceptor", "resources")
Compute = TypeVar("Compute", bound=Callable[..., Any])


class Failed(dg.Failure):
    """Why a step failed, as one sentence. The original error stays the cause.

    For a `Failure` Dagster shows class, text, then traceback; for any other error it shows its own traceback
    first.
    """

    __module__ = "builtins"  # a traceback omits the module of builtins only, so the sentence comes first


def told(compute: Compute) -> Compute:
    """Decorate an asset or op: Preceptor's own errors are raised as `Failed`, all others unchanged."""

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
    """An error's text, without the class name if the error is Preceptor's own."""
    name, _, text = message.strip().partition(": ")
    ours = name.startswith("preceptor.") or name == "Failed"
    return text if ours and text else message.strip()
