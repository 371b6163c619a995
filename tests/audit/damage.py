"""Ways to damage a store. An audit must find each of them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

from tests.audit.conftest import Case


def weights(case: Case) -> None:
    flip(next(case.home.glob("checkpoints/a-brief/*/model.safetensors")), -1)


def lost_file(case: Case) -> None:
    next(case.home.glob("checkpoints/a-brief/*/tokenizer.json")).unlink()


def added_file(case: Case) -> None:
    next(case.home.glob("checkpoints/a-brief/*/manifest.json")).with_name("extra.py").write_text("import os")


def manifest(case: Case) -> None:
    path = next(case.home.glob("checkpoints/a-brief/*/manifest.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seed": 7}))


def response(case: Case) -> None:
    """Change one response in a Parquet file that stays readable."""
    rewrite(case, "responses/teacher=brief", "turns", lambda turns: [["no"], *turns[1:]])


def instruction(case: Case) -> None:
    rewrite(case, "raw_instructions", "turns", lambda turns: [["Why?"], *turns[1:]])


def reward(case: Case) -> None:
    rewrite(case, "rewards/reward_model=scores/teacher=brief", "reward", lambda found: [9.5, *found[1:]])


def loss(case: Case) -> None:
    rewrite(case, "base_losses/base=base-a/teacher=brief", "nll_sum", lambda found: [0.1, *found[1:]])


def choice(case: Case) -> None:
    rewrite(case, "selected_subset/recipe=of-brief", "why", lambda why: ["bribed", *why[1:]])


def fewer_rows(case: Case) -> None:
    path = data_file(case, "responses/teacher=brief")
    replace(path, parquet.read_table(path, partitioning=None).slice(1))


def exchanged_file(case: Case) -> None:
    path = data_file(case, "responses/teacher=brief")
    parquet.write_table(parquet.read_table(path, partitioning=None).slice(1), path)


def damaged_byte(case: Case) -> None:
    flip(data_file(case, "responses/teacher=brief"), 20)


def vacuumed_file(case: Case) -> None:
    data_file(case, "rewards/reward_model=scores/teacher=brief").unlink()


def lost_version(case: Case) -> None:
    log = case.home / "responses" / "_delta_log"
    for path in sorted(log.glob("*.json"))[1:]:
        path.unlink()


def lost_table(case: Case) -> None:
    shutil.rmtree(case.home / "rewards")


def silent_commit(case: Case) -> None:
    """A commit of another program, without our metadata."""
    for log in (case.home / "responses" / "_delta_log").glob("*.json"):
        log.write_text(log.read_text().replace('"preceptor":', '"another":'))
    response(case)


def settings_in_the_log(case: Case) -> None:
    for path in (case.home / "responses" / "_delta_log").glob("*.json"):
        path.write_text(
            path.read_text().replace(
                '\\\\\\"engine\\\\\\": \\\\\\"recorded\\\\\\"', '\\\\\\"engine\\\\\\": \\\\\\"vllm\\\\\\"'
            )
        )


def declared_in_the_log(case: Case) -> Path:
    """Change the teacher's terms of use in its commit. Returns the log file."""
    (log,) = (
        path
        for path in (case.home / "responses/_delta_log").glob("*.json")
        if "brief-terms" in path.read_text()
    )
    log.write_text(log.read_text().replace("brief-terms", "of-a-liar"))
    return log


def data_file(case: Case, partition: str) -> Path:
    (path,) = (case.home / partition).glob("*.parquet")
    return path


def rewrite(case: Case, partition: str, column: str, change: Callable[[list], list]) -> None:
    path = data_file(case, partition)
    table = parquet.read_table(path, partitioning=None)
    place = table.schema.get_field_index(column)
    field = table.schema.field(place)
    values = change(table.column(column).to_pylist())
    replace(path, table.set_column(place, field, pa.array(values, field.type)))


def replace(path: Path, table: pa.Table) -> None:
    """Replace a file and its size in Delta's log, so that only the rows reveal the change."""
    size = path.stat().st_size
    parquet.write_table(table, path)
    table_folder = next(folder for folder in path.parents if (folder / "_delta_log").exists())
    for log in (table_folder / "_delta_log").glob("*.json"):
        lines = log.read_text().splitlines()
        changed = [
            line.replace(f'"size":{size}', f'"size":{path.stat().st_size}') if path.name in line else line
            for line in lines
        ]
        log.write_text("\n".join(changed) + "\n")


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0xFF
    path.write_bytes(bytes(data))
