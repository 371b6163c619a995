"""The UI as users see it, in a real browser: from an empty lake by one click to the ranking and its report.

PRECEPTOR_SCREENSHOTS names a folder for the pictures of the documentation.
"""

import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
import yaml
from PIL import Image

from preceptor.lake.schemas import CAR_TABLE
from preceptor.lake.store import Lake
from tests.studies import document, lines, write_study

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.story,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no browser is installed: apt-get install chromium"),
]
CHECKOUT = Path(__file__).parents[2]
SCREENSHOTS = os.environ.get("PRECEPTOR_SCREENSHOTS")
GOING = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
ASSETS = ("raw_instructions responses rewards base_losses car_table car_beta_sweep suitability"
          " selected_subset study_report").split()  # fmt: skip
CUT_OFF = """e => { for (let box = e.parentElement; box; box = box.parentElement)
  if (e.getBoundingClientRect().right > box.getBoundingClientRect().right + 1) return true; return false }"""
SECOND = 1000  # Playwright counts milliseconds


class Served:
    """`make ui` for a small study with an empty lake."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.study = folder, write_study(folder)
        self.lake = Lake(str(folder / "store"), "small")
        self.port = two_free_ports()
        self.url = f"http://127.0.0.1:{self.port}"
        variables = {"PRECEPTOR_STUDY": str(self.study), "PRECEPTOR_STORE": str(folder / "store")}
        self.environment = {
            **os.environ, **variables, "DAGSTER_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1"
        }  # fmt: skip
        self.log = folder / "log"
        command = [sys.executable, "-m", "jobs.serve", "--port", str(self.port)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=CHECKOUT, env=self.environment, stdout=log, stderr=log
            )

    def wait(self, seconds: float, what: Callable[[], object]) -> None:
        end = time.monotonic() + seconds
        while not what():
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()[-3000:]
            time.sleep(1)


def two_free_ports() -> int:
    """The first of two adjacent free ports."""
    for port in range(20_000 + os.getpid() % 10_000, 60_000, 2):
        with socket.socket() as one, socket.socket() as other:
            try:
                one.bind(("127.0.0.1", port))
                other.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    raise AssertionError("no two neighbouring ports are free")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    served = Served(tmp_path_factory.mktemp("ui"))
    try:
        served.wait(900, lambda: "Serving dagster-webserver on" in served.log.read_text())
        yield served
    finally:
        served.process.send_signal(signal.SIGTERM)
        served.process.wait(timeout=600)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, served):
    page = browser.new_page(viewport={"width": 1400, "height": 860})
    page.set_default_timeout(300 * SECOND)
    yield page
    page.close()


def keep(page, name: str) -> None:
    """Save a screenshot for the documentation, if PRECEPTOR_SCREENSHOTS is set."""
    if SCREENSHOTS:
        page.wait_for_timeout(1.5 * SECOND)  # until animations end
        picture = Image.open(io.BytesIO(page.screenshot()))
        picture.quantize(64).save(Path(SCREENSHOTS, f"{name}.png"), optimize=True)  # a third of the bytes


def metadata(page, key: str):
    """The line of the asset's metadata with this key."""
    return page.locator("tr", has=page.get_by_text(key, exact=True))


def answer(page):
    """The picture in a description, shown without a click."""
    return page.get_by_alt_text("The ranking and its uncertainty").first


def width(picture) -> int:
    picture.wait_for()
    picture.page.wait_for_function("e => e.complete", arg=picture.element_handle())
    return picture.evaluate("e => e.naturalWidth")


def click_materialize(served: Served, page, sure: bool = False) -> str:
    """Click the asset's button; returns the run that this started."""
    with dg.DagsterInstance.from_config(str(served.folder / "home")) as instance:
        before = instance.get_run_ids()
        page.get_by_role("button", name="Materialize").first.click()
        if sure:  # Dagster asks for confirmation because an upstream asset is missing
            page.get_by_role("button", name="Confirm").click()
        served.wait(30, lambda: len(instance.get_run_ids()) > len(before))
        (started,) = set(instance.get_run_ids()) - set(before)
    return started


@pytest.fixture(scope="module")
def started(served, browser) -> None:
    """Click Materialize on raw_instructions and wait for that run to succeed."""
    page = browser.new_page(viewport={"width": 1400, "height": 860})
    page.set_default_timeout(300 * SECOND)
    page.goto(f"{served.url}/assets/raw_instructions")
    run_id = click_materialize(served, page)
    page.goto(f"{served.url}/runs/{run_id}")
    page.get_by_text("Success", exact=True).first.wait_for(timeout=600 * SECOND)
    page.close()


@pytest.fixture(scope="module")
def ranked(served, started) -> None:
    """Wait until the automatic runs have ended."""
    with dg.DagsterInstance.from_config(str(served.folder / "home")) as instance:

        def made(asset: str) -> float:
            event = instance.get_latest_materialization_event(dg.AssetKey(asset))
            return event.timestamp if event else 0.0

        def whole() -> bool:
            ranks = served.lake.read(CAR_TABLE, columns=["rank"])
            return ranks.height == 6 and ranks["rank"].null_count() == 0

        served.wait(1200, lambda: whole() and made("study_report") > made("car_table"))
        busy = time.monotonic()

        def ended() -> bool:
            nonlocal busy
            if instance.get_runs_count(dg.RunsFilter(statuses=GOING)):
                busy = time.monotonic()
            return time.monotonic() - busy > 20

        served.wait(900, ended)


def test_an_empty_lake_shows_the_first_step(served, page):
    assert "Materialize `raw_instructions` in the UI" in served.log.read_text()
    page.goto(f"{served.url}/assets/raw_instructions")
    page.get_by_text("Start here").first.wait_for()
    keep(page, "ui_first_run")
    page.goto(f"{served.url}/assets/car_table")
    page.get_by_text("If the table is empty, materialize").first.wait_for()
    assert width(answer(page)) == 740  # the picture says that no teacher is ranked yet
    run_id = click_materialize(served, page, sure=True)
    page.goto(f"{served.url}/runs/{run_id}")
    sentence = page.get_by_text("Failed: raw_instructions has no rows yet: materialize it first").first
    sentence.wait_for(timeout=600 * SECOND)
    assert page.get_by_text("DagsterExecutionStepExecutionError").count() == 0


def test_the_graph_shows_every_asset(served, ranked, page):
    page.set_viewport_size({"width": 1400, "height": 1400})  # the graph is higher than wide screens are
    page.goto(f"{served.url}/asset-groups")
    page.get_by_text("Global asset lineage").wait_for()
    page.locator("svg foreignObject").first.wait_for()
    page.mouse.click(900, 720, button="right")
    page.get_by_role("menuitem").filter(has_text="Expand all groups").click()
    page.reload()  # fits the opened groups into the window
    for asset in ASSETS:
        page.locator("svg foreignObject", has_text=asset).first.wait_for()
    keep(page, "ui_graph")


def test_the_clicked_and_the_automatic_assets_are_materialized(served, ranked, page):
    for asset in ("raw_instructions", "study_report"):
        page.goto(f"{served.url}/assets/{asset}")
        page.get_by_text("Latest materialization").wait_for()
        assert page.get_by_text("Never materialized").count() == 0


def test_the_ranking_and_its_plot_render(served, ranked, page):
    page.goto(served.url)
    page.get_by_role("link", name="Catalog").first.click()
    page.get_by_role("link", name="car_table").first.click()  # the second click shows the answer
    assert width(answer(page)) == 740
    assert answer(page).evaluate("e => e.getBoundingClientRect().bottom") < 860
    keep(page, "ui_car_table")
    for base in ("base-a", "base-b"):
        said = metadata(page, f"answer for {base}").inner_text()
        assert f"{base}: brief ranks first of 3" in said
    for base in ("base-a", "base-b"):
        ranking = metadata(page, f"ranking for {base}").locator("table tr")
        ranking.nth(3).wait_for()
        shown = [[cell.strip() for cell in row.split("\t")] for row in ranking.all_inner_texts()]
        assert shown[0] == ["rank", "teacher", "CAR"]
        assert {teacher for _, teacher, _ in shown[1:]} == {"brief", "chatty", "tiny"}
        assert shown[1][0].startswith("1 (1\u2011") and shown[1][1] == "brief"
        assert not metadata(page, f"ranking for {base}").locator("table").evaluate(CUT_OFF)
    metadata(page, "plot").get_by_text("Show Markdown").click()
    picture = page.get_by_alt_text("CAR by base and teacher")
    picture.wait_for()
    assert picture.evaluate("e => e.complete && e.naturalWidth") == 740
    page.get_by_role("button", name="Close").click()
    picture.wait_for(state="detached")
    metadata(page, "preview").get_by_text("Show Markdown").click()
    page.get_by_role("columnheader", name="mean_reward").wait_for()


def test_the_report_opens_by_a_click(served, ranked, page):
    page.goto(f"{served.url}/assets/study_report")
    link = page.get_by_role("link", name="Open the report")
    link.wait_for()
    keep(page, "ui_study_report")
    if link.get_attribute("target") == "_blank":
        with page.expect_popup() as opened:
            link.click()
        report = opened.value
    else:
        link.click()
        report = page
    report.wait_for_url(f"http://127.0.0.1:{served.port + 1}/report.html")
    report.get_by_role("heading").first.wait_for()
    assert "small" in report.title()
    assert report.locator(".js-plotly-plot").count() > 0


def test_a_new_teachers_partition_shows(served, ranked, page):
    study = document("small")
    lines(served.folder / "new.jsonl", [{"instruction": "Who wrote Hamlet?", "response": "Shakespeare."}])
    study["teachers"].append({"name": "newcomer", "engine": "recorded", "path": "new.jsonl"})
    served.study.write_text(yaml.safe_dump(study, sort_keys=False))
    with dg.DagsterInstance.from_config(str(served.folder / "home")) as instance:
        served.wait(900, lambda: "newcomer" in instance.get_dynamic_partitions("small/teachers"))
    page.goto(f"{served.url}/assets/responses?view=partitions")
    page.get_by_text("newcomer", exact=True).first.wait_for()
    keep(page, "ui_new_teacher")
