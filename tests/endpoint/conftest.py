"""Waits a hundred times shorter than in earnest."""

import pytest

from preceptor.endpoint import waits


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(waits, "FIRST_SECONDS", 0.01)
