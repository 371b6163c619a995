"""The report says which responses each recipe left out, and which it teaches without knowing their end."""

import polars as pl

from preceptor.lake.schemas import RESPONSES, SELECTED_SUBSET
from preceptor.lake.store import Lake
from preceptor.lake.warehouse import Warehouse
from preceptor.report.listings import selection_listing
from tests.selection.lakes import SQL


def test_every_recipe_says_what_it_chose_and_left_out(tmp_path):
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
    listing = selection_listing(warehouse.query("report/selections"))
    assert listing.rows == [
        ("a", "3", "3", "0", "1", "1", "7"),
        ("older", "1", "1", "0", "0", "0", "0"),
    ]
