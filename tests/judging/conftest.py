"""Waits a hundred times shorter than in earnest, as for the endpoint's own tests."""

from tests.endpoint.conftest import short_waits

__all__ = ["short_waits"]
