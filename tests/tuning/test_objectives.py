"""Tuning objectives: a second one is one entry, and SFT keeps the fingerprints that it always had."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
import pytest
from pydantic import Field, ValidationError

from preceptor.study.fields import Real
from preceptor.study.schema import Base, Study
from preceptor.study.tuning import Tuning
from preceptor.tuning.examples import make_examples
from preceptor.tuning.objectives import OBJECTIVES
from preceptor.tuning.objectives.objective import Objective, ObjectiveSettings
from preceptor.tuning.task import Machine, Task, rows_digest, task_fingerprint
from preceptor.tuning.tune import tune
from tests.tuning.samples import EIGHT, KINDS, rows, save_base, study

CPU = Machine("cpu")
LORA = {"peft_type": "LORA", "r": 8, "target_modules": "all-linear"}
EVERY_FIELD = {
    **{"epochs": 1, "learning_rate": 1e-4, "schedule": "cosine", "warmup": 0.1, "batch_size": 8},
    **{"weight_decay": 0.1, "max_gradient_norm": 0.5, "max_length": 512, "mixed_precision": "bf16"},
    "peft": LORA,
}


class Response(ObjectiveSettings):
    """Response tuning with a loss that is `scale` times the tokens'."""

    kind: Literal["response"] = "response"
    scale: Annotated[Real, Field(gt=0)] = 1.0


def blanked(_: Response, tokenizer: Any, template: Any, chosen: pl.DataFrame, length: int, end: int) -> Any:
    silent = chosen.with_columns(user=pl.col("user").list.eval(pl.element().str.head(0)))
    return make_examples(tokenizer, template, silent, length, end)


def scaled(settings: Response, setup: Any) -> Any:
    from trl import SFTConfig, SFTTrainer

    class ScaledTrainer(SFTTrainer):
        def compute_loss(self, *inputs: Any, **options: Any) -> Any:
            return super().compute_loss(*inputs, **options) * settings.scale

    prepared = {"skip_prepare_dataset": True}
    config = setup.config(SFTConfig, max_length=None, dataset_kwargs=prepared)
    return setup.trainer(ScaledTrainer, config)


@pytest.fixture
def response(monkeypatch):
    entry = Objective(Response, blanked, scaled, columns=("teacher",), loss_of_tokens=False)
    monkeypatch.setitem(OBJECTIVES, "response", entry)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return save_base(tmp_path_factory.mktemp("base"))


@pytest.mark.parametrize("declared", [{}, {"objective": "sft"}, {"objective": {"kind": "sft"}}])
@pytest.mark.parametrize(
    ("settings", "seed", "expected"), [({}, 0, "15f822773a744fc5"), (EVERY_FIELD, 7, "45098323e81123fa")]
)
def test_sft_has_the_fingerprints_from_before_there_were_objectives(declared, settings, seed, expected):
    # Printed at commit a85fcd0, unpacked by `git archive`, by these very calls (there without `objective`).
    model = Base(name="base", model="some/base", revision="0" * 40)
    endings = ["stop", "length", None, "stop", "length", "stop", "stop"]
    digest = rows_digest(rows(KINDS, endings))
    assert digest == "534cfeb0fb722cc5"
    tuning = Tuning(name="t", **settings, **declared)
    assert task_fingerprint(model, tuning, seed, digest) == expected
    assert "objective" not in tuning.model_dump()  # nor does the report's fingerprint change


def test_another_objective_is_declared_by_its_name_or_with_settings(base, response):
    by_name = study(base, objective="response")
    assert by_name.tunings[0].objective == Response()
    with_settings = study(base, objective={"kind": "response", "scale": 2})
    assert with_settings.tunings[0].objective == Response(scale=2)
    assert Study.model_validate_json(with_settings.model_dump_json()) == with_settings


@pytest.mark.parametrize(
    ("objective", "place", "facts"),
    [
        ("dpo", "objective", ["sft, response"]),
        ({"scale": 2}, "objective", ["sft, response", "'kind'"]),
        ({"kind": "response", "scales": 2}, "objective", ["'response'", "'scales'", "kind, scale"]),
        ({"kind": "response", "scale": 0}, "scale", ["greater than 0"]),
    ],
)
def test_an_objective_that_is_not_known_is_refused_by_its_field(base, response, objective, place, facts):
    with pytest.raises(ValidationError) as refused:
        study(base, objective=objective)
    (error,) = refused.value.errors()
    assert error["loc"][:2] == ("tunings", 0) and error["loc"][-1] == place
    assert all(fact in error["msg"] for fact in facts)


def test_every_objectives_fingerprint_is_its_own(base, response, monkeypatch):
    def mark(**tuning):
        return Task.of(study(base, **tuning), "run", EIGHT).fingerprint

    one = mark(objective="response")
    assert len({mark(), one, mark(objective={"kind": "response", "scale": 2})}) == 3
    assert mark(objective={"kind": "response", "scale": 1}) == one
    monkeypatch.setitem(OBJECTIVES, "response", replace(OBJECTIVES["response"], version=2))
    assert mark(objective="response") != one


def test_the_columns_that_an_objective_reads_are_part_of_its_fingerprint(base, response):
    others = EIGHT.with_columns(teacher=pl.lit("another"))
    for objective, same in (("sft", True), ("response", False)):
        marks = {
            Task.of(study(base, objective=objective), "run", chosen).fingerprint for chosen in (EIGHT, others)
        }
        assert (len(marks) == 1) is same


def test_another_objective_makes_its_examples_trains_by_its_trainer_and_is_named(base, response, lake):
    declared = study(base, objective={"kind": "response", "scale": 2})
    outcome = tune(lake, declared, "run", EIGHT, {}, CPU)
    (row,) = outcome.rows.to_dicts()
    assert (row["steps"], row["rows"]) == (2, 8)
    manifest = json.loads((Path(row["uri"]) / "manifest.json").read_text())
    assert manifest["objective"] == {"kind": "response", "scale": 2.0}
    # Nothing was learned yet in the first steps, which warm up: twice the mean loss of the blanked rows.
    silent = EIGHT.with_columns(user=pl.col("user").list.eval(pl.lit("")))
    assert row["losses"][0] == pytest.approx(2 * _first_loss(base, silent, lake), abs=1e-4)
    assert row["losses"][0] != pytest.approx(2 * _first_loss(base, EIGHT, lake), abs=1e-4)
    # The published model is checked by its tokens' loss, which is not the trainer's.
    assert manifest["published_as_trained"]["trainer_loss"] < 0.6 * row["losses"][0]


def _first_loss(base: str, chosen: pl.DataFrame, lake: Any) -> float:
    """Of SFT over these rows, at its first step."""
    return tune(lake, study(base), "run", chosen, {}, CPU).rows["losses"][0][0]


def test_a_manifest_of_sft_names_it(base, lake):
    manifest = json.loads(tune(lake, study(base), "run", EIGHT, {}, CPU).rows["manifest"][0])
    assert manifest["objective"] == {"kind": "sft"}
