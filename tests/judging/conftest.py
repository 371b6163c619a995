"""Makes waits a hundred times shorter, as in the endpoint's tests."""

from tests.endpoint.conftest import short_waits

__all__ = ["short_waits"]
