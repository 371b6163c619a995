"""The three ways in which a request fails: by the endpoint, by the row, or by chance."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from preceptor.endpoint.completion import Usage


class EndpointError(RuntimeError):
    """The endpoint gives nobody an answer: no row's fault, so that the work stops and no row is marked."""


class RowError(Exception):
    """This row gets no answer; the text says why and becomes the row's `error`."""


class RefusedRequest(RowError):
    """The endpoint will not answer this request, however often it is asked."""


class NoText(RowError):
    """The model worked, but no text of it came; `usage` is what that took."""

    def __init__(self, text: str, usage: "Usage") -> None:
        super().__init__(text)
        self.usage = usage


class WithheldAnswer(NoText):
    """The answer was filtered or is a refusal."""


class OutOfTokens(NoText):
    """The model used up its tokens before it wrote any text."""


class OutOfAttempts(RowError):
    """Every attempt that the row had went wrong."""


class Fault(Exception):
    """What went wrong may go right the next time.

    `wait` is how many seconds the endpoint asked for, `overload` says that it has too much to do, and
    `unreachable` that no connection could be made.
    """

    def __init__(
        self, text: str, wait: float | None = None, overload: bool = False, unreachable: bool = False
    ) -> None:
        super().__init__(text)
        self.wait = wait
        self.overload = overload
        self.unreachable = unreachable


def shortened(text: str, most: int = 300) -> str:
    """One line of at most this many characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
