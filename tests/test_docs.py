"""Links and paths in README, CHANGELOG and docs/ exist."""

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
PAGES = [CHECKOUT / "README.md", CHECKOUT / "CHANGELOG.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
NAMED = re.compile(r"`((?:assets|benchmarks|deploy|jobs|preceptor|resources|sql|studies|tests)/[\w/.]+)`")
LINK = re.compile(r"\]\((?!https?://)([^)\s#]*)(?:#([^)\s]+))?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for path, anchor in LINK.findall(page.read_text()):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        if anchor:
            assert anchor in headings(target), f"{path}#{anchor}"


@pytest.mark.parametrize("page", PAGES[2:], ids=lambda page: page.name)
def test_every_named_path_exists(page):
    assert [path for path in NAMED.findall(page.read_text()) if not (CHECKOUT / path).exists()] == []


def headings(page: Path) -> set[str]:
    """Anchors as GitHub makes them."""
    found = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}
