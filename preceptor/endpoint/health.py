"""Whether an endpoint answers at all: what many rows in a row suffer is no row's fault."""

from preceptor.endpoint.errors import EndpointError, Fault

HOPELESS_ROWS = 20  # that use up their attempts, one after another, without an answer to any row in between


class Health:
    """Counts what went wrong since the last answer.

    Each method raises EndpointError where the endpoint counts as dead.
    """

    def __init__(self, address: str, attempts: int) -> None:
        self.address = address
        self.attempts = attempts
        self.answered = False
        self._unreachable = 0
        self.rows_failed = 0

    def succeeded(self) -> None:
        """An answer came: whatever was wrong is over."""
        self.answered = True
        self._unreachable = 0
        self.rows_failed = 0

    def failed(self, fault: Fault) -> None:
        """A request went wrong. An endpoint that was never there is not waited for."""
        self._unreachable = self._unreachable + 1 if fault.unreachable else 0
        if not self.answered:
            self._refuse_unreachable(fault)

    def row_failed(self, fault: Fault) -> None:
        """A row has used up its attempts."""
        self._refuse_unreachable(fault)
        self.rows_failed += 1
        if self.rows_failed >= HOPELESS_ROWS:
            raise EndpointError(
                f"{self.address} answered none of {self.rows_failed} rows in a row, with {self.attempts}"
                f" attempts for each; the last: {fault}. See what is wrong with it, then run again: finished"
                " rows are kept."
            )

    def _refuse_unreachable(self, fault: Fault) -> None:
        if self._unreachable >= 2 * self.attempts:
            raise EndpointError(
                f"{self.address} cannot be reached: {self._unreachable} connections failed one after"
                f" another; the last: {fault}. Check that the server runs and that 'base_url' is right, then"
                " run again: finished rows are kept."
            )
