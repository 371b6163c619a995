"""Adding a recipe takes a class and a statement: here one is added in memory and appears everywhere."""

import shutil
from typing import Annotated, Literal

import pytest
from pydantic import Field

from jobs.steps import steps
from preceptor.lake.schemas import BASE_LOSSES, RAW_INSTRUCTIONS, RESPONSES
from preceptor.lake.warehouse import Warehouse
from preceptor.selection.recipes import select_rows, selection_places, selection_reads, shortfall
from preceptor.study import load as loading
from preceptor.study.fields import BaseName, Real
from preceptor.study.json_schema import study_schema
from preceptor.study.recipes import AnyRecipe, OfOneTeacher, Positive
from preceptor.study.schema import Study
from tests.selection.lakes import GOOD, SQL, empty_lake, everything, fill, study
from tests.study.documents import load, problems, replaced


class Unlikely(OfOneTeacher):
    """One teacher's responses with a loss above a bound."""

    PARAMETERS = ("bound", "rows")

    kind: Literal["unlikely"]
    base: BaseName
    bound: Real
    rows: Positive

    @property
    def losses_of(self):
        return self.base

    @property
    def exhausted(self):
        return f"no more responses are above {self.bound}"


class WiderStudy(Study):
    """The study with the recipe in its union."""

    recipes: tuple[Annotated[AnyRecipe | Unlikely, Field(discriminator="kind")], ...] = ()


STATEMENT = """
SELECT response_id, instruction_id, teacher, sample, mean_nll AS value, 'its loss is above ' || $bound AS why
FROM candidates WHERE mean_nll > $bound ORDER BY mean_nll DESC, response_id LIMIT $rows
"""
SETTINGS = {"kind": "unlikely", "name": "it", "teacher": "c++", "base": "base-a", "bound": 2.0, "rows": 100}


@pytest.fixture
def wider():
    recipe = Unlikely.model_validate(SETTINGS)
    return WiderStudy.model_validate({**study().model_dump(), "recipes": [recipe.model_dump()]})


def test_it_chooses_rows_by_its_statement(tmp_path, wider):
    sql = shutil.copytree(SQL, tmp_path / "sql")
    (sql / "selection" / "unlikely.sql").write_text(STATEMENT)
    warehouse = Warehouse(fill(empty_lake(tmp_path), GOOD), sql)
    warehouse.attach(*selection_reads(wider, "it"))
    rows = select_rows(warehouse, wider, "it", everything(wider))
    expected = {
        row.response_id for row in GOOD if row.teacher == "c++" and (row.value("mean_nll", "base-a") or 0) > 2
    }
    assert set(rows["response_id"]) == expected != set()
    places = [
        (RAW_INSTRUCTIONS, {}),
        (RESPONSES, {"teacher": "c++"}),
        (BASE_LOSSES, {"base": "base-a", "teacher": "c++"}),
    ]
    assert selection_places(wider, "it") == places


def test_its_step_and_its_shortfall_follow_from_its_class(wider):
    (step,) = (step for step in steps(wider) if step.asset == "selected_subset")
    assert step.needs == (("responses", "c++"),)
    assert "no more responses are above 2.0" in shortfall(wider.recipes[0], 7, 0, 0)


def test_it_is_in_the_schema_of_the_file_alone_and_as_a_grid():
    parts = study_schema(WiderStudy)["$defs"]
    assert parts["Unlikely"]["properties"]["kind"]["const"] == "unlikely"
    assert {"teachers", "bases", "bound"} <= parts["UnlikelyGrid"]["properties"].keys()


def test_a_study_file_may_name_it_and_its_names_are_checked(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "Study", WiderStudy)
    picked = "{kind: best_of_n, name: picked, teacher: sampled}"
    wanted = "{kind: unlikely, name: picked, teacher: sampled, base: base-a, bound: 2, rows: 5}"
    text = replaced((picked, wanted))
    assert isinstance(load(tmp_path, text).recipes[3], Unlikely)
    found = problems(tmp_path, text.replace("sampled, base: base-a", "nobody, base: none"))
    assert [problem.path for problem in found] == ["recipes[3].base", "recipes[3].teacher"]
    grid = text.replace("name: picked, teacher: sampled", "name: 'of-{teacher}', teachers: [sampled, spare]")
    assert [recipe.name for recipe in load(tmp_path, grid).recipes[3:]] == ["of-sampled", "of-spare"]
    (unknown,) = problems(tmp_path, text.replace("bound: 2", "bond: 2, bound: 2"))
    assert "Did you mean 'bound'?" in unknown.message
