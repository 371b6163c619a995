"""The page is self-contained, escapes texts, is the same for the same rows, and lists missing data."""

import re
import shutil
from html.parser import HTMLParser

import polars as pl
import pytest
from plotly.offline import get_plotlyjs

from preceptor.lake.schemas import CAR_TABLE, EVAL_RESULTS, EVAL_SCORES, TUNED_CHECKPOINT
from preceptor.report.evidence import gather
from preceptor.report.listings import predictor_listings, score_listings
from preceptor.report.page import build_report
from tests.report.lakes import FACTS, SILENT, TEACHERS, empty_warehouse, full_warehouse, put, small_study

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Reader(HTMLParser):
    """Attributes of every tag, the text outside scripts and styles, and the styles."""

    def __init__(self, page):
        super().__init__()
        self.inside, self.texts, self.styles, self.attributes, self.tags = [], [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attributes]
        if tag in ("script", "style"):
            self.inside.append(tag)

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self.inside.pop()

    def handle_data(self, data):
        place = self.texts if not self.inside else self.styles if self.inside[-1] == "style" else []
        place.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def page(study, warehouse):
    return build_report(study, warehouse, FACTS)


@pytest.fixture(scope="module")
def read(page):
    return Reader(page)


def test_nothing_is_fetched(page, read):
    for tag, name, value in read.attributes:
        assert name not in ("src", "srcset", "data", "action", "poster", "background"), (tag, name, value)
        assert name != "href" or value.startswith("#")
        assert "url(" not in (value or "")
    assert "link" not in read.tags and "iframe" not in read.tags and "base" not in read.tags
    styles = " ".join(read.styles)
    assert "@import" not in styles and "url(" not in styles and "http" not in styles
    contents = [value for tag, name, value in read.attributes if (tag, name) == ("meta", "content")]
    (policy,) = [content for content in contents if content.startswith("default-src")]
    assert policy.startswith("default-src 'none'; script-src 'unsafe-inline';")
    assert "connect-src" not in policy
    assert page.startswith("<!doctype html>") and FACTS.fingerprint in page[:4000]


def test_plotly_is_inlined_once(page):
    assert page.count(get_plotlyjs()) == 1


def test_the_answer_comes_first_per_base(read, warehouse):
    text = read.text
    table = warehouse.rows(CAR_TABLE.name).filter(rank=1)
    for base, teacher, low, high in table.select("base", "teacher", "rank_low", "rank_high").iter_rows():
        words = f"{base} Predicted best teacher {teacher} rank {low} to {high} of 8"
        first = [f"{base} {teacher} ranks first of 8 by its low loss", "Results of tuning", words]
        places = [text.index(part) for part in (*first, "CAR = r / (1 + β·L) with β = 3")]
        assert places == sorted(places)
    assert text.count("over 8 teachers (95 % interval") == 4


def test_long_sections_are_closed_and_listed_in_the_contents(page, read):
    links = [value for tag, name, value in read.attributes if (tag, name) == ("a", "href")]
    parts = [value for tag, name, value in read.attributes if (tag, name) == ("details", "id")]
    assert links == [f"#{part}" for part in parts] and len(parts) == 7
    assert ("details", "open") not in [(tag, name) for tag, name, _ in read.attributes]
    first = page[page.index("<main>") : page.index("<nav")]
    unfolded = re.sub(r"<details>.*?</details>", "", first, flags=re.DOTALL)
    assert unfolded.count('data-chart="car-') == unfolded.count("data-chart=") == 2
    assert "over 8 teachers" in first and "over 8 teachers" not in unfolded


def test_tables_list_the_best_first_and_the_main_columns_first(study, warehouse):
    scores = warehouse.rows(EVAL_SCORES.name).filter(metric="accuracy")
    (listing,) = [found for found in score_listings(gather(warehouse, study).scores, main=True)
                  if found.title.startswith("tasks-exam")]  # fmt: skip
    assert listing.columns[:3] == ("run", "score", "95 % interval")
    best = scores.sort("value", descending=True)["run"].to_list()
    bases = [[run for run in best if run.startswith(base)] for base in ("notes-", "diary-")]
    assert [row[0] for row in listing.rows] == [*bases[0], *bases[1]]
    for found in predictor_listings(gather(warehouse, study).rank_correlations):
        rho = [float(row[1]) for row in found.rows]
        assert rho == sorted(rho, reverse=True)


@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no browser is installed: apt-get install chromium")
def test_in_a_browser_the_page_is_as_wide_as_its_window_and_charts_unfold(page, tmp_path, width):
    from playwright.sync_api import sync_playwright

    file = tmp_path / "report.html"
    file.write_text(page, encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": width, "height": 860})
        faults: list[str] = []
        shown.on("pageerror", lambda error: faults.append(str(error)))
        shown.goto(file.as_uri())
        shown.locator("#car-1.js-plotly-plot").wait_for()
        assert shown.locator(".js-plotly-plot").count() == 2
        size = "document.documentElement.scroll{}"
        assert shown.evaluate(size.format("Height")) < (2500 if width > 1000 else 4000)
        shown.get_by_role("link", name="Predicted and actual").click()
        shown.locator("#actual-3.js-plotly-plot").wait_for()
        shown.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
        shown.locator("#loss-1.js-plotly-plot").wait_for()
        assert shown.evaluate(size.format("Width")) == width
        assert faults == []
        browser.close()


def test_the_best_student_is_the_one_with_the_highest_score(read, warehouse, study):
    scores = warehouse.rows(EVAL_SCORES.name).filter(pl.col("metric") == "accuracy")
    for base in study.bases:
        runs = {run.name: run.recipe for run in study.runs if run.base == base.name}
        values = scores.filter(
            pl.col("run").is_in([r for r, recipe in runs.items() if recipe != "random-300"])
        )
        best = values.sort("value").row(-1, named=True)
        said = f"{runs[best['run']].removeprefix('of-')} accuracy {100 * best['value']:.1f} %"
        assert f"Best student on tasks-exam {said}" in read.text
        assert f"{base.name} on tasks-exam {runs[best['run']].removeprefix('of-')} " in read.text


def test_the_page_has_every_score_every_teacher_and_all_missing_data(read, warehouse, study):
    text = read.text
    for row in warehouse.rows(EVAL_SCORES.name).to_dicts():
        ends = f"{100 * row['low']:.1f} % to {100 * row['high']:.1f} %"
        recipe = study.run(row["run"]).recipe
        account = " ".join(str(row[name]) for name in ("n", "judged", "failed", "filtered", "expected"))
        base = study.run(row["run"]).base
        assert f"{row['run']} {100 * row['value']:.1f} % {ends} {account} {base} {recipe}" in text
    assert "Judge: judge (tiny/judge@0123456)" in text and "without instruction difficulty" in text
    assert f"{SILENT} – no rewards from grader" in text
    assert re.search(r"Not tuned [^:]*: diary-random-300", text)
    assert f"tasks-exam: no score for notes-{SILENT}" in text
    failed = warehouse.rows(EVAL_RESULTS.name)["error"].count()
    assert f"eval_results {failed} 5,400 {failed} × prompt too long for the context of … tokens" in text
    assert "2,700 300 × no score in scores.csv:…; " in text
    for number in (f"CAR's bootstrap: {study.car.seed}", "trl 1.16.0", "responses version 17", "seed: 0"):
        assert number in text


def test_every_chart_has_its_element_and_its_own_name(page, read):
    names = [value for _, name, value in read.attributes if name == "data-chart"]
    ids = [value for tag, name, value in read.attributes if (tag, name) == ("div", "id")]
    kinds = {"car": 2, "sweep": 2, "actual": 4, "predictors": 4, "spread": 4, "loss": 2}
    assert names == ids and len(set(names)) == len(names)
    assert {kind: sum(name.startswith(f"{kind}-") for name in names) for kind in kinds} == kinds


def test_equal_inputs_give_an_equal_page(page, study, tmp_path):
    again = build_report(study, full_warehouse(tmp_path, study), FACTS)
    assert again == page


def test_texts_are_escaped(tmp_path):
    bad = "<script>alert('x')</script><img src=http://x.test/>"
    study = small_study(description=bad)
    warehouse = empty_warehouse(tmp_path)
    put(warehouse, CAR_TABLE, [{"base": "notes-base", "teacher": "a", "missing": bad}])
    put(
        warehouse,
        TUNED_CHECKPOINT,
        [{"run": "notes-a", "final_loss": 1.0, "loss_steps": [1], "losses": [1.0]}],
    )
    item = {"run": "notes-a", "benchmark": "tasks-exam", "item_id": "1", "task": bad}
    put(warehouse, EVAL_RESULTS, [{**item, "outcome": 1.0}, {**item, "error": bad}])
    score = {
        "run": "notes-a",
        "benchmark": "tasks-exam",
        "metric": "accuracy",
        "value": 0.5,
        "n": 2,
        "category": "",
        "unit": "share",
        **dict.fromkeys(("expected", "judged"), 2),
        **dict.fromkeys(("failed", "filtered"), 0),
    }
    put(warehouse, EVAL_SCORES, [{**score, "method": bad, "judge": bad, "reference": bad}])
    page = build_report(study, warehouse, FACTS)
    read = Reader(page)
    assert bad not in page and "img" not in read.tags
    assert read.text.count("<script>alert('x')</script>") >= 6


def test_without_runs_the_page_has_only_a_ranking(tmp_path):
    study = small_study((*TEACHERS, SILENT), runs=False)
    text = Reader(build_report(study, full_warehouse(tmp_path, study), FACTS)).text
    assert "This study has no runs" in text and "the study declares no runs" in text
    assert "Best student" not in text and "Runs without a result" not in text


def test_an_empty_lake_gives_a_page_that_says_so(study, tmp_path):
    text = Reader(build_report(study, empty_warehouse(tmp_path), FACTS)).text
    assert text.count("No teacher is ranked for this base: the CAR table has no rows") == 2
    assert text.count("None of this base's 10 runs has a result yet.") == 2
    assert "No teacher is ranked for any base" in text
    assert "The reliability of r is unknown" in text
    assert "There are no rows for the current settings." in text


def test_bases_whose_runs_have_different_settings_are_named(tmp_path, study, warehouse):
    document = study.model_dump(mode="json")
    document["tunings"].append({"name": "short", "epochs": 1})
    document["runs"][0]["tuning"] = "short"
    text = Reader(build_report(type(study).model_validate(document), warehouse, FACTS)).text
    assert re.search(r"Runs with different settings: notes-base: runs of its teachers differ", text)
    assert "diary-base: runs of its teachers differ" not in text


def test_runs_that_hardly_learned_are_named_with_the_predictions(tmp_path, study, warehouse):
    assert "may have learned little or nothing" not in Reader(build_report(study, warehouse, FACTS)).text
    short = full_warehouse(tmp_path, study)
    tuned = [
        {**row, "steps": 250, "losses": [1.5] * 50} for row in short.rows(TUNED_CHECKPOINT.name).to_dicts()
    ]
    put(short, TUNED_CHECKPOINT, tuned)
    text = Reader(build_report(study, short, FACTS)).text
    first = study.runs[0].name
    said = f"{first}: its training loss did not fall in 250 optimizer steps (1.500 → 1.500 nats per token)"
    assert text.index("Predicted and actual") < text.index(said) < text.index("Which metric predicts best")
