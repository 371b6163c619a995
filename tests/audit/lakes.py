"""A small study, run up to its scores with the same functions that the assets call."""

import json
from pathlib import Path

import yaml

from preceptor.current import ROW_TABLES, current_fingerprints
from preceptor.endpoint.completion import Completion
from preceptor.endpoint.usage import Usage
from preceptor.fingerprint import model_identity
from preceptor.instructions.collect import collect_instructions, instructions_fingerprint
from preceptor.judging.judge import Answer
from preceptor.lake.resume import derive, put
from preceptor.lake.schemas import CAR_TABLE, RAW_INSTRUCTIONS, RESPONSES, SELECTED_SUBSET, TUNED_CHECKPOINT
from preceptor.lake.store import Lake
from preceptor.lake.warehouse import Warehouse
from preceptor.selection.conversations import CONVERSATION_TABLES, chosen_conversations
from preceptor.selection.recipes import (
    select_rows,
    selection_fingerprint,
    selection_places,
    selection_reads,
)
from preceptor.study.load import load_study
from preceptor.study.schema import Study
from preceptor.suitability.table import build_car_table, car_fingerprint
from resources.evaluation import EvaluationResource
from resources.generation import GenerationResource
from resources.loss import LossResource
from resources.reward import RewardResource
from resources.training import TrainingResource
from resources.warehouse import SQL
from tests.evaluation.benchmarks import Asked
from tests.studies import document, with_runs, write_benchmarks, write_study


def small_document() -> dict:
    """Two recorded teachers, recorded rewards, one base, a run per teacher, and two benchmarks."""
    study = with_runs(document("small"))
    study["teachers"] = [teacher | {"terms": f"{teacher['name']}-terms"} for teacher in study["teachers"][:2]]
    study["bases"], study["reward_models"] = study["bases"][:1], study["reward_models"][:1]
    study["car"] |= {"reward_model": "scores"}
    study["recipes"] = study["recipes"][-2:]
    sums, duels = study["evaluations"]
    judge = {"name": "asked", "engine": "openai", "model": "m", "base_url": "http://localhost/v1"}
    study["evaluations"] = [sums, duels | {"name": "judged", "judge": judge}]
    return study


def write_small(folder: Path) -> Study:
    """Write the study with its data and models, and load it."""
    path = write_study(folder)
    write_benchmarks(folder)
    return reload(path, small_document())


def reload(path: Path, study: dict) -> Study:
    path.write_text(yaml.safe_dump(study))
    return load_study(path)


def rank(study: Study, lake: Lake) -> None:
    """Run all steps up to the CAR table."""
    instructions, _ = collect_instructions(study.instructions)
    fingerprint = instructions_fingerprint(study.instructions)
    put(lake.made_from({}, dump(study.instructions)), RAW_INSTRUCTIONS, {}, fingerprint, instructions)
    read = {"raw_instructions": lake.version(RAW_INSTRUCTIONS)}
    for teacher in study.teachers:
        GenerationResource().respond(lake.made_from(read, dump(teacher)), teacher, instructions, 0.05)
    read |= {"responses": lake.version(RESPONSES)}
    for teacher in study.teachers:
        rows = lake.read(RESPONSES, {"teacher": teacher.name})
        for model in study.reward_models:
            store = lake.made_from(read, dump(model))
            RewardResource().score(store, model, teacher.name, rows, instructions, 0.05)
        for base in study.bases:
            LossResource().score(lake.made_from(read, dump(base)), base, teacher.name, rows, instructions)
    session = Warehouse(lake, SQL)
    session.attach(*ROW_TABLES)
    current = current_fingerprints(study)
    fingerprint = car_fingerprint(study, current, session.versions)
    store = lake.made_from(session.versions, dump(study.car))
    derive(store, CAR_TABLE, {}, fingerprint, lambda: build_car_table(session, study, current))


class Evaluation(EvaluationResource):
    """Evaluates with a fake judge that prefers the first answer."""

    def _asked(self, judge):
        return Asked(first_wins)


def first_wins(question, _) -> Answer:
    reading = question.read(Completion('{"verdict": "A"}', "stop", Usage(1, 1)))
    return Answer("A it is", reading.verdict, reading.outcome)


def tune(study: Study, lake: Lake) -> None:
    """Run all steps from the selection to the scores."""
    for recipe in study.recipes:
        session = Warehouse(lake, SQL)
        session.attach(*selection_reads(study, recipe.name))
        current = current_fingerprints(study)
        read = session.files_of(selection_places(study, recipe.name))
        fingerprint = selection_fingerprint(study, recipe.name, current, read)
        store = lake.made_from(session.versions, dump(recipe))
        rows = select_rows(session, study, recipe.name, current)
        put(store, SELECTED_SUBSET, {"recipe": recipe.name}, fingerprint, rows)
    for run in study.runs:
        session = Warehouse(lake, SQL)
        session.attach(*CONVERSATION_TABLES)
        rows = chosen_conversations(session, run.recipe)
        store = lake.made_from(session.versions, dump(run))
        TrainingResource(device="cpu").tune(store, study, run.name, rows, session.versions)
        for evaluation in study.evaluations:
            read = {"tuned_checkpoint": lake.version(TUNED_CHECKPOINT)}
            Evaluation().evaluate(
                lake.made_from(read, dump(evaluation)), run.name, study.base(run.base), evaluation
            )

    for base in study.bases:
        made_from = {**dump(study.evaluation("sums")), "untuned": model_identity(base.model, base.revision)}
        store = lake.made_from({}, made_from)
        Evaluation().evaluate_untuned(store, base, study.evaluation("sums"))


def dump(part) -> dict:
    return json.loads(part.model_dump_json(exclude_none=True))
