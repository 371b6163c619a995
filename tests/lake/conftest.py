import pytest

from tests.lake.samples import Writer


@pytest.fixture
def start(tmp_path):
    """Starts a writer per teacher, waits until all are ready, and ends them after the test."""
    writers = []

    def start(root, *teachers, **options):
        writers.extend(Writer(root, tmp_path, teacher, **options) for teacher in teachers)
        for writer in writers:
            writer.wait()
        return writers

    yield start
    for writer in writers:
        writer.kill()
