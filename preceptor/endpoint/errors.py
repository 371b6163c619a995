"""The three ways in which a request fails: by the endpoint, by the row, or by chance."""

from preceptor.text import repair


class EndpointError(RuntimeError):
    """The endpoint gives nobody an answer: no row's fault, so that the work stops and no row is marked."""


class RowError(Exception):
    """This row gets no answer; the text says why and becomes the row's `error`."""


class RefusedRequest(RowError):
    """The endpoint will not answer this request, however often it is asked.

    `cure` says which of the study's settings may be to blame, if it answers nobody.
    """

    def __init__(self, text: str, cure: str = "") -> None:
        super().__init__(text)
        self.cure = cure


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
    """One line of at most this many characters, which any file can hold."""
    line = repair(" ".join(text.split()))
    return line if len(line) <= most else line[: most - 1] + "…"
