"""A ranking without rewards: an automatic run succeeds with a warning, a manual run fails with the reason."""

import dagster as dg
import pytest

from tests.assets.served import code_location
from tests.studies import write_study

RANKING = ["car_table", "car_beta_sweep", "suitability", "study_report"]
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture(scope="module")
def defs(tmp_path_factory):
    study = write_study(tmp_path_factory.mktemp("study"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRECEPTOR_STORE", str(study.parent / "store"))
        with code_location(study) as defs:
            yield defs


def ranked(defs, *assets, **tags):
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            list(defs.assets),
            selection=list(assets),
            resources=dict(defs.resources),
            instance=instance,
            raise_on_error=False,
            tags=tags,
            run_config=QUIET,
        )
        made = instance.get_latest_materialization_event(dg.AssetKey("car_table")) is not None
    return result, made


@pytest.mark.parametrize("tag", ["dagster/from_automation_condition", "dagster/sensor_name"])
def test_an_automatic_ranking_without_rewards_succeeds_with_a_warning(defs, tag):
    for instructions in (False, True):
        if instructions:
            assert ranked(defs, "raw_instructions")[0].success
        result, made = ranked(defs, *RANKING, **{tag: "true"})
        assert result.success and not made
        failing = [check for check in result.get_asset_check_evaluations() if not check.passed]
        assert [(check.check_name, check.severity) for check in failing] == [
            ("completeness", dg.AssetCheckSeverity.WARN)
        ]
        assert "materialize it first" in failing[0].description


def test_a_manual_ranking_without_rewards_fails_with_the_reason(defs):
    result, made = ranked(defs, "car_table")
    assert not result.success and not made
    (failed,) = result.get_step_failure_events()
    assert "materialize it first" in failed.step_failure_data.error.cause.message
