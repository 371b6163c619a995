"""What tests need that run programs: a bubblewrap that works."""

import os

import pytest

from preceptor.evaluation.humaneval.isolation import Limits, SandboxError
from preceptor.evaluation.humaneval.sandbox import Sandbox

REQUIRED = os.environ.get("PRECEPTOR_TEST_SANDBOX") == "required"  # in CI no skipped test is a passed one


def require_bubblewrap() -> None:
    """Skip the test without one; where it is required, fail."""
    try:
        Sandbox(Limits()).check()
    except SandboxError as error:
        if REQUIRED:
            raise
        pytest.skip(str(error))
