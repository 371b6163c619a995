"""Makes waits a hundred times shorter than in production."""

import pytest

from preceptor.endpoint import failures


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(failures, "FIRST_SECONDS", 0.01)
