"""Whether an endpoint answers at all: what every row suffers is no row's fault."""

import math

from preceptor.endpoint.errors import EndpointError, Fault


class Health:
    """What the endpoint has shown of itself. `alive_at` is when the latest answered request was sent.

    When it was sent and not when it was answered: answers still come in after the endpoint stopped taking
    requests.
    """

    def __init__(self, address: str, attempts: int) -> None:
        self.address = address
        self.attempts = attempts
        self.alive_at = -math.inf
        self._unreachable = 0

    @property
    def answered(self) -> bool:
        """Whether an answer ever came."""
        return self.alive_at > -math.inf

    def succeeded(self, sent_at: float) -> None:
        """The model answered a request that was sent then."""
        self.alive_at = max(self.alive_at, sent_at)
        self._unreachable = 0

    def failed(self, fault: Fault) -> None:
        """A request went wrong. An endpoint that was never there is not waited for: EndpointError."""
        self._unreachable = self._unreachable + 1 if fault.unreachable else 0
        if not self.answered:
            self.refuse_unreachable(fault)

    def refuse_unreachable(self, fault: Fault) -> None:
        """Raise EndpointError where connection after connection failed."""
        if self._unreachable >= 2 * self.attempts:
            raise EndpointError(
                f"{self.address} cannot be reached: {self._unreachable} connections failed one after"
                f" another; the last: {fault}. Check that the server runs and that 'base_url' is right, then"
                " run again: finished rows are kept."
            )
