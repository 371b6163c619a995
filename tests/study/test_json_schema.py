"""The schema that editors hold studies against is current, takes our studies, and refuses what is wrong."""

import pytest
import yaml
from jsonschema import Draft202012Validator

from preceptor.study.document import read_document
from preceptor.study.json_schema import schema_text, study_schema
from preceptor.study.load import load_study
from preceptor.study.schema import Study
from tests.study.documents import VALID, replaced

SCHEMA = study_schema(Study)
VALIDATOR = Draft202012Validator(SCHEMA)
RUNS = VALID[VALID.index("runs:") : VALID.index("evaluations:")]


@pytest.fixture(scope="module")
def studies(pytestconfig):
    return pytestconfig.rootpath / "studies"


def mistakes(text):
    return [error.json_path for error in VALIDATOR.iter_errors(yaml.safe_load(text))]


def test_the_schema_in_the_repository_is_current(studies):
    Draft202012Validator.check_schema(SCHEMA)
    assert (studies / "schema.json").read_text() == schema_text(), "run `make study-schema`"


@pytest.mark.parametrize("name", ["demo", "first", "arena_bench", "car_paper"])
def test_our_studies_name_the_schema_and_fit_it(studies, name):
    file = studies / f"{name}.yaml"
    assert file.read_text().startswith("# yaml-language-server: $schema=schema.json\n")
    assert list(VALIDATOR.iter_errors(read_document(file).data)) == []


def test_the_papers_twenty_teachers_and_five_bases_fit_in_sixty_lines(studies):
    file = studies / "car_paper.yaml"
    study = load_study(file, {})
    assert (len(study.teachers), len(study.bases), len(study.runs)) == (20, 5, 100)
    assert len(file.read_text().splitlines()) <= 60


FITS = {
    "as it is": VALID,
    "a grid of runs": replaced((RUNS, "runs: {bases: all, recipes: [best], tunings: all, seeds: [0, 1]}\n")),
    "grids and runs": replaced(
        (RUNS, f"{RUNS}  - {{name: '{{base}}', bases: all, teachers: all, tunings: all}}\n")
    ),
    "a grid of recipes": replaced(("name: picked, teacher: sampled", "name: 'x-{teacher}', teachers: all")),
    "defaults": replaced(
        ("name: small\n", "name: small\ndefaults: {teachers: {engine: transformers, sampling: {n: 1}}}\n"),
        ("    engine: transformers\n", ""),
    ),
    "variables": replaced(
        ("beta: 3", "beta: '${BETA:-3}'"), ("engine: transformers", "engine: transformers\n    dtype: ${D}")
    ),
    "one stop text": replaced(("temperature: 0.7, n: 4", "stop: END")),
}
REFUSED = {
    "unknown key": replaced(("beta: 3", "bta: 3")),
    "unknown section": replaced(("tunings:", "tuning:")),
    "word": replaced(("order: lowest", "order: low")),
    "number too small": replaced(("rows: 10", "rows: 0")),
    "engine": replaced(("engine: transformers", "engine: transformer")),
    "key of another engine": replaced(("engine: transformers", "engine: transformers\n    adapter: x")),
    "axis": replaced((RUNS, "runs: {bases: all, recipes: all, tunnings: all}\n")),
    "names of an axis": replaced((RUNS, "runs: {bases: every, recipes: all, tunings: all}\n")),
    "default": replaced(("name: small\n", "name: small\ndefaults: {teachers: {smapling: {}}}\n")),
}


@pytest.mark.parametrize("text", FITS.values(), ids=FITS)
def test_a_valid_study_fits_the_schema(text):
    assert mistakes(text) == []


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_an_invalid_study_does_not_fit_the_schema(text):
    assert mistakes(text) != []


def test_descriptions_are_the_docstrings():
    assert (
        SCHEMA["$defs"]["Random"]["description"]
        == "Random instructions, each with one random response of the teachers."
    )
    assert "β" in SCHEMA["$defs"]["Car"]["properties"]["beta"]["description"]
