"""Tune a run of a study once: write a folder of weights to the lake and a row to `tuned_checkpoint`."""

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from preceptor.compute.conversation import template_of
from preceptor.lake.folders import MANIFEST, alone, exists, folder_uri, publish, read_manifest, workplace
from preceptor.lake.resume import Outcome, put
from preceptor.lake.schemas import TUNED_CHECKPOINT
from preceptor.lake.store import Lake, LakeError
from preceptor.study.schema import Study
from preceptor.tuning.examples import Examples, end_of_turn, known_only
from preceptor.tuning.manifest import make_manifest, manifest_text, origins
from preceptor.tuning.model import ADAPTER, load_model, merged, save_model
from preceptor.tuning.publication import Publication, compare, rows_to_compare, trainer_loss
from preceptor.tuning.task import DivergedError, Machine, Task, TuningError
from preceptor.tuning.train import Training, quiet, train
from preceptor.tuning.trainer import make_trainer

log = logging.getLogger(__name__)


def tune(
    lake: Lake,
    study: Study,
    run_name: str,
    rows: pl.DataFrame,
    read: Mapping[str, int | None],
    machine: Machine | None = None,
) -> Outcome:
    """Complete a run's partition, which has one row. Trains only if the run's folder is not published yet.

    `rows` are those that the recipe chose, with the columns of `chosen_conversations`. `read` gives the table
    versions that they were read from. Raises TuningError if the run cannot be tuned.
    """
    task = Task.of(study, run_name, rows)
    uri = folder_uri(lake, "checkpoints", run_name, task.fingerprint)
    if not exists(lake, uri):
        lake.create(TUNED_CHECKPOINT)  # an unwritable store fails here, before training
        _publish_new(lake, task, read, machine or Machine(), uri)
    shutil.rmtree(
        workplace(lake, "tuning", run_name) / task.fingerprint, ignore_errors=True
    )  # left by a kill
    manifest = _manifest(lake, task, uri)
    row = pl.DataFrame([_row(task, manifest, uri)], schema=TUNED_CHECKPOINT.row_schema)
    return put(lake, TUNED_CHECKPOINT, {"run": run_name}, task.fingerprint, row)


def _manifest(lake: Lake, task: Task, uri: str) -> dict[str, Any]:
    """The content of manifest.json. Raises LakeError if the file has changed since it was written."""
    text = read_manifest(lake, uri) or ""
    known = _copies(lake, task)
    if any(manifest_text(json.loads(copy)) != text for copy in known):
        cure = "restore it, or remove the folder to tune again"
        raise LakeError(f"{uri}/{MANIFEST} is not the file that was written; {cure}")
    manifest: dict[str, Any] = json.loads(text)
    return manifest


def _copies(lake: Lake, task: Task) -> list[str]:
    """The lake's copies of the manifest: one, or none."""
    rows = lake.read(TUNED_CHECKPOINT, {"run": task.run.name}).filter(fingerprint=task.fingerprint)
    return rows["manifest"].to_list()


def _publish_new(lake: Lake, task: Task, read: Mapping[str, int | None], machine: Machine, uri: str) -> None:
    """Train and publish, unless another process did so while this one waited.

    Continues the work of an interrupted process with the same settings, and removes work of other settings.
    """
    place = workplace(lake, "tuning", task.run.name)
    with alone(place):
        if exists(lake, uri):
            return
        work = place / task.fingerprint
        for superseded in (path for path in place.iterdir() if path.is_dir() and path != work):
            shutil.rmtree(superseded)
        folder = work / "finished"
        examples, training, publication = _tuned(task, machine, folder)
        manifest = make_manifest(task, origins(lake, task, read), examples, training, publication, folder)
        (folder / MANIFEST).write_text(manifest_text(manifest), encoding="utf-8")
        if _copies(lake, task):  # the row of a folder that was removed
            lake.delete(TUNED_CHECKPOINT, {"run": task.run.name})
        publish(lake, folder, uri)
        shutil.rmtree(work)


def _tuned(task: Task, machine: Machine, folder: Path) -> tuple[Examples, Training, Publication]:
    """Train in the folder's parent, save the finished model in the folder, and check it."""
    from preceptor.compute.load import context_length, load_tokenizer, release_memory
    from preceptor.compute.vocabulary import embedding_rows

    base, run, work = task.base, task.run.name, folder.parent
    tokenizer = load_tokenizer(base.model, base.revision)
    end = end_of_turn(tokenizer, base.prompt_format, base.name)
    with quiet():
        model = load_model(task)
        context = context_length(model, base.max_length)
        length = min(context, task.tuning.max_length or context)
        template = template_of(tokenizer, base.prompt_format, base.prompt_date)
        examples = task.objective.examples(task.tuning.objective, tokenizer, template, task.rows, length, end)
        examples = known_only(examples, tokenizer, embedding_rows(model))
        _refuse_nothing(run, examples)
        compared = rows_to_compare(examples.rows)
        trainer, training = _trained(task, model, tokenizer, examples, machine, work)
        expected, device = trainer_loss(trainer, task.objective, compared), str(trainer.args.device)
        tuned = trainer.model
        del trainer, model  # the optimizer uses more memory than the model that is loaded below
        _save(tuned, tokenizer, task, end, context, folder)
        del tuned
        release_memory()
        adapter = None if task.tuning.peft is None else folder / ADAPTER
        publication = compare(task, folder, adapter, compared, expected, device)
    return examples, training, publication


def _trained(
    task: Task, model: Any, tokenizer: Any, examples: Examples, machine: Machine, work: Path
) -> tuple[Any, Training]:
    try:
        trainer = make_trainer(task, model, tokenizer, examples, machine, work)
        return trainer, train(trainer, task.run.name)
    except DivergedError:
        shutil.rmtree(work)  # the same settings would diverge again
        raise
    except TuningError:
        raise
    except Exception as error:  # each architecture and type of adapter raises its own errors
        what, cure = f"base {task.base.name!r}", "unless this machine is the reason, use another base"
        if task.tuning.peft is not None:
            what, cure = f"{what} with tunings.{task.tuning.name}.peft", "change these settings"
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise TuningError(f"run {task.run.name!r}: {what} cannot be trained: {reason}; {cure}") from error


def _refuse_nothing(run: str, examples: Examples) -> None:
    if not examples.rows:
        reason = next(iter(examples.failed.values()), "its recipe chose none")
        raise TuningError(f"run {run!r}: no row is usable for tuning ({reason})")
    counts = len(examples.rows), len(examples.truncated), len(examples.failed)
    log.info("run %s: %d rows, %d of them truncated; %d left out (listed in the manifest)", run, *counts)


def _save(model: Any, tokenizer: Any, task: Task, end: int, context: int, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # a killed process may have left a part
    try:
        save_model(merged(model, task, folder), tokenizer, task.base, end, context, folder)
    except TuningError:
        raise
    except Exception as error:  # each library has its own error for a full disk
        raise TuningError(
            f"run {task.run.name!r}: the tuned model cannot be written to {folder}: {error};"
            " free disk space there; the run then continues from its last checkpoint"
        ) from error


def _row(task: Task, manifest: dict[str, Any], uri: str) -> dict[str, Any]:
    same = ("rows", "tokens", "steps", "final_loss", "loss_steps", "losses")
    return {
        "base": task.base.name,
        "recipe": task.run.recipe,
        "tuning": task.tuning.name,
        "seed": task.run.seed,
        **{name: manifest[name] for name in same},
        "truncated_rows": len(manifest["truncated_rows"]),
        "failed_rows": len(manifest["failed_rows"]),
        "uri": uri,
        "manifest": json.dumps(manifest, ensure_ascii=False),
    }
