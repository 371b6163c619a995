"""The report lists the responses that each recipe left out, and those whose end is not known."""

import polars as pl

from preceptor.lake.schemas import RESPONSES, SELECTED_SUBSET
from preceptor.lake.store import Lake
from preceptor.lake.warehouse import Warehouse
from preceptor.report.listings import selection_listing
from preceptor.study.recipes import OneTeacher, TopK
from tests.selection.lakes import SQL


def test_every_recipe_lists_rows_chosen_and_left_out(tmp_path):
    warehouse = Warehouse(Lake(str(tmp_path), "small"), SQL)
    endings = {"r0": "stop", "r1": "length", "r2": None, "r3": "length"}
    responses = [{"response_id": name, "finish_reason": reason} for name, reason in endings.items()]
    chosen = [
        {
            "recipe": "a",
            "teacher": f"t{n}",
            "response_id": f"r{n}",
            "cut_left_out": 0,
            "above_one_left_out": 7,
        }
        for n in range(3)
    ]
    chosen.append({"recipe": "older", "teacher": "t0", "response_id": "r0"})  # before these were counted
    for table, rows in ((RESPONSES, responses), (SELECTED_SUBSET, chosen)):
        warehouse.register(table.name, pl.DataFrame(rows, schema=table.schema))
    recipes = [
        TopK(name="a", kind="top_k", column="ifd", rows=1000, base="b"),
        OneTeacher(name="older", kind="teacher", teacher="t0"),
    ]
    listing = selection_listing(warehouse.query("report/selections"), recipes)
    assert listing.rows == [
        ("a", "1,000", "3", "3", "0", "1", "1", "7"),
        ("older", "all", "1", "1", "0", "0", "0", "0"),
    ]
    assert listing.notes[0] == (
        "Fewer rows than asked for: recipe a asks for 1,000 rows and got 3, 997 fewer: no more instructions"
        " have a usable response with a value of ifd, and all of them are taken; 7 more were left out since"
        " they are above 1."
    )
    assert "older" not in " ".join(listing.notes)
