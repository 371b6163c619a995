"""The three kinds of failure: of the endpoint, of one row, and those that a retry may cure."""

from preceptor.text import repair


class EndpointError(RuntimeError):
    """The endpoint answers no request. The work stops, and no row is marked as failed."""


class RowError(Exception):
    """This row gets no answer. The message becomes the row's `error`."""


class RefusedRequest(RowError):
    """The endpoint refuses this request, and a retry does not help.

    `cure` names the study's settings to change if the endpoint refuses all requests.
    """

    def __init__(self, text: str, cure: str = "") -> None:
        super().__init__(text)
        self.cure = cure


class OutOfAttempts(RowError):
    """All attempts of the row failed."""


class Fault(Exception):
    """A failure after which a retry may succeed.

    `wait` is the delay in seconds that the endpoint asked for. `overload` means that the endpoint has too
    many requests, `unreachable` that no connection could be made.
    """

    def __init__(
        self, text: str, wait: float | None = None, overload: bool = False, unreachable: bool = False
    ) -> None:
        super().__init__(text)
        self.wait = wait
        self.overload = overload
        self.unreachable = unreachable


def shortened(text: str, most: int = 300) -> str:
    """The text as one line of at most `most` characters, without lone surrogates."""
    line = repair(" ".join(text.split()))
    return line if len(line) <= most else line[: most - 1] + "…"
