"""Which assets run automatically and which do not: tick by tick, on the real asset graph."""

import pytest
import yaml

from tests.assets.served import World, code_location
from tests.studies import document, with_runs, write_benchmarks, write_study

TEACHERS, BASES, MODELS = ["brief", "chatty", "tiny"], ["base-a", "base-b"], ["classifier", "scores"]
RANKING = {"car_table": [], "car_beta_sweep": [], "suitability": [], "study_report": []}
NEVER = ("raw_instructions", "selected_subset", "tuned_checkpoint", "base_results", "eval_results")


@pytest.fixture(scope="module")
def defs(tmp_path_factory):
    study = write_study(tmp_path_factory.mktemp("study"))
    write_benchmarks(study.parent)
    study.write_text(yaml.safe_dump(with_runs(document("small"))))
    with code_location(study) as defs:
        yield defs


@pytest.fixture
def empty(defs) -> World:
    return World(defs, "small", teachers=TEACHERS, bases=BASES)


@pytest.fixture
def full(empty) -> World:
    """Every asset is materialized, and two ticks have seen it."""
    empty.make("raw_instructions")
    for teacher in TEACHERS:
        answer(empty, teacher)
        score(empty, teacher)
    for asset in RANKING:
        empty.make(asset)
    empty.make("selected_subset", "random-4")
    assert empty.tick() == {}
    assert empty.tick() == {}
    return empty


def answer(world, teacher, version="1"):
    world.make("responses", teacher, version=version)


def score(world, teacher, version="1"):
    world.make("rewards", *over(MODELS, teacher), version=version)
    world.make("base_losses", *over(BASES, teacher), version=version)


def over(others, *teachers):
    return [f"{other}|{teacher}" for other in others for teacher in teachers]


def scores_of(*teachers):
    return {
        "rewards": over(MODELS, *sorted(teachers)),
        "base_losses": over(BASES, *sorted(teachers)),
    }


def test_materializing_the_instructions_leads_to_the_report(empty):
    assert empty.tick() == {}
    empty.make("raw_instructions")
    assert empty.tick() == {"responses": TEACHERS}
    assert empty.tick() == {}
    for teacher in TEACHERS:
        answer(empty, teacher)
    assert empty.tick() == scores_of(*TEACHERS)
    for teacher in TEACHERS:
        score(empty, teacher)
    assert empty.tick() == RANKING
    run = empty.begin(*RANKING)
    for asset in RANKING:
        empty.make(asset, run=run)
    empty.end(run)
    assert empty.tick() == {}


def test_the_ranking_waits_for_a_reward_and_a_loss(empty):
    empty.make("raw_instructions")
    answer(empty, "brief")
    empty.tick()
    empty.make("rewards", "scores|brief")
    assert set(empty.tick()).isdisjoint(RANKING)
    empty.make("base_losses", "base-a|brief")
    assert empty.tick() == RANKING


def test_a_new_teacher_runs_alone(full):
    full.add("teachers", "new")
    assert full.tick() == {"responses": ["new"]}
    run = full.begin("responses", key="new")
    assert full.tick() == {}
    full.make("responses", "new", run=run)
    full.end(run)
    assert full.tick() == scores_of("new")
    score(full, "new")
    assert full.tick() == RANKING


def test_a_new_base_scores_every_teacher_without_new_responses(full):
    full.add("bases", "base-c")
    assert full.tick() == {"base_losses": over(["base-c"], *TEACHERS)}
    full.make("base_losses", *over(["base-c"], *TEACHERS))
    assert full.tick() == RANKING


def test_changed_responses_are_scored_again_and_unchanged_ones_are_not(full):
    answer(full, "brief")
    assert full.tick() == {}
    answer(full, "brief", version="2")
    assert full.tick() == scores_of("brief")
    assert full.tick() == {}


def test_changed_instructions_are_answered_again_and_unchanged_ones_are_not(full):
    full.make("raw_instructions")
    assert full.tick() == {}
    full.make("raw_instructions", version="2")
    assert full.tick()["responses"] == TEACHERS


def test_a_score_materialized_again_with_the_same_data_updates_the_ranking(full):
    full.make("rewards", "scores|brief")
    assert full.tick() == RANKING


def test_scores_wait_for_responses_in_progress(full):
    answer(full, "brief", version="2")
    run = full.begin("responses", key="brief")
    assert full.tick() == {}
    full.make("responses", "brief", version="3", run=run)
    full.end(run)
    assert full.tick() == scores_of("brief")


@pytest.mark.parametrize("fails", [True, False], ids=["fails", "never ends"])
def test_a_teacher_that_fails_or_never_ends_is_requested_once_and_blocks_no_other(full, fails):
    full.add("teachers", "bad", "good")
    assert full.tick() == {"responses": ["bad", "good"]}
    run = full.begin("responses", key="bad")
    if fails:
        full.end(run, failed=True)
    answer(full, "good")
    assert full.tick() == scores_of("good")
    score(full, "good")
    assert full.tick() == RANKING
    assert full.tick() == {}


@pytest.mark.parametrize("moment", ["before the run is seen", "while it runs", "as it ends"])
def test_a_score_during_a_ranking_leads_to_one_more_ranking(full, moment):
    full.make("rewards", "scores|brief")
    assert full.tick() == RANKING
    run = full.begin(*RANKING)
    if moment == "before the run is seen":  # on the tick that marks the request as handled
        full.make("rewards", "scores|chatty")
    assert full.tick() == {}
    if moment == "while it runs":
        full.make("rewards", *over(MODELS, "chatty"))
        assert full.tick() == {}
    full.make("car_table", run=run)
    if moment == "as it ends":
        full.make("rewards", "scores|chatty")
    assert full.tick() == {}  # the sweep and the report of the same run are not done yet
    for asset in ("car_beta_sweep", "suitability", "study_report"):
        full.make(asset, run=run)
    full.end(run)
    assert full.tick() == RANKING
    again = full.begin(*RANKING)
    for asset in RANKING:
        full.make(asset, run=again)
    full.end(again)
    assert full.tick() == {}


def test_responses_that_change_during_scoring_are_scored_again(full):
    answer(full, "brief", version="2")
    assert full.tick() == scores_of("brief")
    run = full.begin("rewards", key="scores|brief")
    answer(full, "brief", version="3")
    assert "scores|brief" not in full.tick()["rewards"]
    full.make("rewards", "scores|brief", version="2", run=run)
    full.end(run)
    assert full.tick()["rewards"] == ["scores|brief"]


def test_a_failed_ranking_is_repeated_at_the_next_score(full):
    full.make("rewards", "scores|brief")
    assert full.tick() == RANKING
    run = full.begin(*RANKING)
    full.end(run, failed=True)
    assert full.tick() == {}
    full.make("base_losses", "base-a|brief")
    assert full.tick() == RANKING


@pytest.mark.parametrize(
    ("asset", "key"),
    [("selected_subset", "of-brief"), ("tuned_checkpoint", "a-brief"), ("eval_results", "sums|a-brief")],
)
def test_selection_tuning_and_evaluation_trigger_only_the_report(full, asset, key):
    full.make(asset, key)
    assert full.tick() == {"study_report": []}


def test_selection_tuning_and_evaluation_are_never_automatic(defs):
    graph = defs.resolve_asset_graph()
    conditions = {node.key.to_user_string(): node.automation_condition for node in graph.asset_nodes}
    assert {name for name, condition in conditions.items() if condition is None} == set(NEVER)
