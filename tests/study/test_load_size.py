"""A study file has a largest size: it is not read beyond it."""

import pytest

from preceptor.study.document import LARGEST, StudyError, read_document


def test_a_too_large_file_is_refused_without_reading_it_whole(tmp_path):
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as file:
        file.truncate(2**40)  # a hole: read whole, it would be a terabyte
    with pytest.raises(StudyError, match=r"huge\.yaml: cannot be read as a study: it has more than 4 MiB"):
        read_document(huge)


def test_the_largest_allowed_file_is_read(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("name: small\n" + "#" * (LARGEST - 12))
    assert read_document(path).data == {"name": "small"}
