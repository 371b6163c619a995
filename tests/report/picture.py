"""README's picture: the first screen of a report, in a real browser.

`python -m tests.report.picture store/demo/report.html docs/demo_report.png`
"""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image

WIDTH = 1240
COLOURS = 64  # reduces the file to a third


def draw(page: Path, picture: Path) -> None:
    """The page's visible part: from the title to the first closed section."""
    from playwright.sync_api import sync_playwright

    browsers = [found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browsers[0], args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": WIDTH, "height": 900})
        shown.goto(page.absolute().as_uri())
        shown.locator("#car-0.js-plotly-plot").wait_for()
        shown.wait_for_timeout(500)
        end = shown.locator(".answers > details").bounding_box()
        height = end["y"] if end else 900
        taken = shown.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
        browser.close()
    Image.open(io.BytesIO(taken)).quantize(
        COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
    ).save(picture, optimize=True)


if __name__ == "__main__":
    draw(*map(Path, sys.argv[1:]))
