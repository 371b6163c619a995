"""A teacher that comes late costs itself: nobody else's partition is published again."""

import json
from types import SimpleNamespace

import pytest

from preceptor.compute.loss import ResponseLoss
from preceptor.current import ROW_TABLES, current_fingerprints
from preceptor.instructions.collect import collect_instructions, instructions_fingerprint
from preceptor.lake.resume import derive, put
from preceptor.lake.schemas import (
    BASE_LOSSES,
    CAR_TABLE,
    RAW_INSTRUCTIONS,
    RESPONSES,
    REWARDS,
    SELECTED_SUBSET,
)
from preceptor.lake.store import data_files
from preceptor.lake.warehouse import Warehouse
from preceptor.losses.score import score_losses
from preceptor.responses.recorded import collect_recorded
from preceptor.rewards.recorded import collect_recorded_rewards
from preceptor.selection.recipes import (
    select_rows,
    selection_fingerprint,
    selection_places,
    selection_reads,
)
from preceptor.study.schema import Study
from preceptor.suitability.table import build_car_table, car_fingerprint
from tests.selection.lakes import SQL

COUNT = 12
RECIPES = (
    {"name": "of-a", "kind": "teacher", "teacher": "a"},
    {"name": "by-reward", "kind": "top_k", "column": "reward", "rows": 5, "teachers": ["a", "b"]},
    {"name": "by-loss", "kind": "top_k", "column": "mean_nll", "rows": 5, "base": "x", "teachers": ["b"]},
    {"name": "over-all", "kind": "random", "rows": 5},
)


class Scorer:
    """Losses that follow from the number of the row."""

    def __init__(self):
        self.facts = {}

    def stream(self, asked):
        for number in range(len(asked)):
            counts = {"response_tokens": 4, "tokens": 4, "prompt_tokens": 3, "unconditional_tokens": 4}
            yield number, ResponseLoss(**counts, nll_sum=1.0 + number, unconditional_nll_sum=9.0)


def written(folder, *teachers) -> Study:
    """A study of recorded teachers; one file holds everybody's scores."""
    questions = [{"id": f"q{n}", "instruction": f"Question {n}: what is {n * n}?"} for n in range(COUNT)]
    lines = {"questions": questions}
    for teacher in teachers:
        lines[teacher] = [{**q, "response": f"{teacher} says {q['id']}"} for q in questions]
    for name, rows in lines.items():
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    scored = [f"q{n},{t},{n + k}.5" for k, t in enumerate(teachers, 1) for n in range(COUNT)]
    (folder / "scores.csv").write_text("\n".join(["question_id,model,score", *scored]) + "\n")
    (folder / "base").mkdir(exist_ok=True)
    (folder / "base" / "config.json").write_text("{}")
    return Study.model_validate(
        {
            "name": "late",
            "instructions": {"sources": [{"name": "mine", "path": str(folder / "questions.jsonl")}]},
            "teachers": [
                {"name": name, "engine": "recorded", "path": str(folder / f"{name}.jsonl")}
                for name in teachers
            ],
            "bases": [{"name": "x", "model": str(folder / "base"), "prompt_format": "plain"}],
            "reward_models": [{"name": "rm", "engine": "recorded", "path": str(folder / "scores.csv")}],
            "recipes": RECIPES,
        }
    )


def materialize(study, lake):
    """What the assets up to the recipes do, for every partition."""
    instructions, _ = collect_instructions(study.instructions)
    put(lake, RAW_INSTRUCTIONS, {}, instructions_fingerprint(study.instructions), instructions)
    for teacher in study.teachers:
        rows = collect_recorded(lake, teacher, instructions)[0].rows
        collect_recorded_rewards(lake, study.reward_models[0], teacher.name, rows, instructions)
        score_losses(lake, study.bases[0], teacher.name, rows, instructions, lambda _: Scorer())
    current, session = current_fingerprints(study), Warehouse(lake, SQL)
    session.attach(*ROW_TABLES)
    fingerprint = car_fingerprint(study, current, session.versions)
    derive(lake, CAR_TABLE, {}, fingerprint, lambda: build_car_table(session, study, current))
    for recipe in study.recipes:
        choose(study, lake, recipe.name, current)


def choose(study, lake, name, current):
    session = Warehouse(lake, SQL)
    session.attach(*selection_reads(study, name))
    read = session.files_of(selection_places(study, name))
    fingerprint = selection_fingerprint(study, name, current, read)
    place = {"recipe": name}
    derive(lake, SELECTED_SUBSET, place, fingerprint, lambda: select_rows(session, study, name, current))


def places(study):
    teachers = [teacher.name for teacher in study.teachers]
    return [
        (RAW_INSTRUCTIONS, {}),
        *((RESPONSES, {"teacher": name}) for name in teachers),
        *((REWARDS, {"reward_model": "rm", "teacher": name}) for name in teachers),
        *((BASE_LOSSES, {"base": "x", "teacher": name}) for name in teachers),
        *((SELECTED_SUBSET, {"recipe": recipe.name}) for recipe in study.recipes),
    ]


def files(lake, wanted):
    """Which files hold each partition now."""
    return {
        (table.name, *partition.values()): sorted(data_files(lake.existing(table), partition))
        for table, partition in wanted
    }


@pytest.fixture
def ranked(tmp_path, lake):
    study = written(tmp_path, "a", "b")
    materialize(study, lake)
    return SimpleNamespace(study=study, files=files(lake, places(study)))


def test_everybody_elses_partitions_stay_the_files_that_they_were(tmp_path, lake, ranked):
    later = written(tmp_path, "a", "b", "late")
    materialize(later, lake)
    now = files(lake, places(ranked.study))
    changed = {place for place in now if now[place] != ranked.files[place]}
    assert changed == {("selected_subset", "over-all")}
    assert set(lake.read(CAR_TABLE)["teacher"]) == {"a", "b", "late"}
    assert lake.read(CAR_TABLE)["missing"].null_count() == 3


def test_a_changed_score_publishes_its_teacher_and_what_is_chosen_by_it(tmp_path, lake, ranked):
    scores = tmp_path / "scores.csv"
    scores.write_text(scores.read_text().replace("q0,b,2.5", "q0,b,99"))
    materialize(ranked.study, lake)
    now = files(lake, places(ranked.study))
    changed = {place for place in now if now[place] != ranked.files[place]}
    assert changed == {("rewards", "rm", "b"), ("selected_subset", "by-reward")}
