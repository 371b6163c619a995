"""One realistic study for all tests of the report."""

import pytest

from tests.report.lakes import full_study, full_warehouse


@pytest.fixture(scope="session")
def study():
    return full_study()


@pytest.fixture(scope="session")
def warehouse(study, tmp_path_factory):
    return full_warehouse(tmp_path_factory.mktemp("report"), study)
