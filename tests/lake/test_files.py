"""Text files beside the tables are replaced completely or not at all, locally and on S3."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.lake.files import is_sealed, read_text, sealed, write_text
from preceptor.lake.store import LakeError
from tests.lake.test_s3 import s3_endpoint, s3_lake  # noqa: F401 - fixtures


def test_a_text_is_read_back_and_can_be_replaced(lake):
    uri = f"{lake.home}/page.html"
    Path(lake.home).mkdir(parents=True)
    assert read_text(lake, uri) is None
    for text in ("<p>β = 3</p>\n", ""):
        write_text(lake, uri, text)
        assert read_text(lake, uri) == text
    assert [path.name for path in Path(lake.home).iterdir()] == ["page.html"]


def test_a_failed_write_leaves_the_old_text(lake):
    uri = f"{lake.home}/page.html"
    Path(lake.home).mkdir(parents=True)
    write_text(lake, uri, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(lake, uri, "\ud800")
    assert read_text(lake, uri) == "old"
    assert [path.name for path in Path(lake.home).iterdir()] == ["page.html"]


def test_a_missing_folder_is_named(lake):
    with pytest.raises(LakeError, match=r"cannot write .*page.html.*PRECEPTOR_STORE"):
        write_text(lake, f"{lake.home}/nowhere/page.html", "text")


@given(st.text(max_size=50), st.data())
def test_a_changed_or_cut_page_is_not_sealed(page, data):
    whole = sealed(page)
    assert is_sealed(whole)
    place = data.draw(st.integers(0, len(whole) - 1))
    assert not is_sealed(whole[:place])
    assert not is_sealed(whole[:place] + chr(ord(whole[place]) ^ 1) + whole[place + 1 :])


def test_a_page_with_invalid_utf8_is_named(lake):
    Path(lake.home).mkdir(parents=True)
    Path(lake.home, "page.html").write_bytes(b"<p>\xff")
    with pytest.raises(LakeError, match=r"page\.html is damaged: .*\. Remove"):
        read_text(lake, f"{lake.home}/page.html")


@pytest.mark.slow
def test_a_text_on_s3_is_read_back_and_can_be_replaced(s3_lake):  # noqa: F811
    uri = f"{s3_lake.home}/page.html"
    assert read_text(s3_lake, uri) is None
    write_text(s3_lake, uri, "β")
    write_text(s3_lake, uri, "γ")
    assert read_text(s3_lake, uri) == "γ"
