import pytest

from tests.lake.samples import Writer


@pytest.fixture
def start(tmp_path):
    """Start a writer per teacher, wait until all are ready, and stop them after the test."""
    writers = []

    def start(root, *teachers, **options):
        writers.extend(Writer(root, tmp_path, teacher, **options) for teacher in teachers)
        for writer in writers:
            writer.wait()
        return writers

    yield start
    for writer in writers:
        writer.kill()
