"""The sensor that reads the study again and the schedule that scores again, without a daemon."""

import shutil
from types import SimpleNamespace

import dagster as dg
import polars as pl
import pytest
import yaml
from dagster._core.test_utils import create_run_for_test

from preceptor.lake.schemas import CAR_TABLE
from preceptor.lake.store import Lake
from preceptor.study.load import StudyError, load_study, read_study
from resources.lake import LakeResource
from tests.assets.served import code_location
from tests.studies import document, lines, write_study

NOBODY = "no teacher or base joined or left the study"


@pytest.fixture(scope="module")
def location(tmp_path_factory):
    """A served study and its code location."""
    file = write_study(tmp_path_factory.mktemp("study"))
    (file.parent / "watched").mkdir()
    study = document("small") | {"teacher_files": "watched", "recipes": []}
    file.write_text(yaml.safe_dump(study))
    with code_location(file) as defs:
        yield SimpleNamespace(file=file, defs=defs, study=study)


@pytest.fixture
def served(location):
    """The served study, unchanged, with partitions in a new instance."""
    from jobs.instance import synchronise

    location.file.write_text(yaml.safe_dump(location.study))
    for left in (location.file.parent / "watched").iterdir():
        left.unlink()
    instance = dg.DagsterInstance.ephemeral()
    synchronise(instance, read_study(location.file))
    served = Served(location, instance)
    assert served.look().skip_reason.skip_message == NOBODY
    return served


class Served:
    def __init__(self, location, instance):
        self.location, self.instance, self.cursor = location, instance, None
        self.store = str(location.file.parent / "store")

    def change(self, **keys):
        self.location.file.write_text(yaml.safe_dump(self.location.study | keys))

    def put(self, name, content):
        (self.location.file.parent / "watched" / name).write_text(content)

    def look(self) -> dg.SensorResult:
        """One tick; then add and delete the partitions that it requests, as the daemon does."""
        from jobs.sensors import study_members

        with dg.build_sensor_context(self.instance, cursor=self.cursor) as context:
            result = study_members(context, lake=LakeResource(store=self.store, study="small"))
        for request in result.dynamic_partitions_requests:
            if isinstance(request, dg.AddDynamicPartitionsRequest):
                self.instance.add_dynamic_partitions(request.partitions_def_name, request.partition_keys)
            else:
                for key in request.partition_keys:
                    self.instance.delete_dynamic_partition(request.partitions_def_name, key)
        self.cursor = result.cursor or self.cursor
        return result

    def teachers(self):
        return set(self.instance.get_dynamic_partitions("small/teachers"))

    def rank(self):
        self.instance.report_runless_asset_event(dg.AssetMaterialization("car_table"))


def without(study, *names):
    return [teacher for teacher in study["teachers"] if teacher["name"] not in names]


def new_teacher(served, name="new"):
    rows = [{"instruction": "Who wrote Hamlet?", "response": "Shakespeare."}]
    lines(served.location.file.parent / "new.jsonl", rows)
    return {"name": name, "engine": "recorded", "path": "new.jsonl"}


def test_a_new_teacher_and_a_new_base_get_partitions(served):
    base = {"name": "base-c", "model": "./base-a"}
    study = served.location.study
    served.change(teachers=[*study["teachers"], new_teacher(served)], bases=[*study["bases"], base])
    told = served.look().skip_reason.skip_message
    assert told == "1 new teacher: new\n1 new base: base-c"
    assert served.teachers() == {"brief", "chatty", "tiny", "new"}
    assert set(served.instance.get_dynamic_partitions("small/bases")) == {"base-a", "base-b", "base-c"}
    assert served.look().skip_reason.skip_message == NOBODY


def test_a_removed_teacher_loses_its_partition_and_the_ranking_runs_once(served):
    served.rank()
    served.change(teachers=without(served.location.study, "tiny"))
    (request,) = served.look().run_requests
    assert {key.to_user_string() for key in request.asset_selection} == {
        "car_table",
        "car_beta_sweep",
        "suitability",
        "study_report",
    }
    assert served.teachers() == {"brief", "chatty"}
    assert served.look().run_requests == []
    served.change()
    back = served.look().run_requests
    served.change(teachers=without(served.location.study, "tiny"))
    again = served.look().run_requests
    assert len({request.run_key, back[0].run_key, again[0].run_key}) == 3  # Dagster starts no key twice


def test_a_tick_that_is_interrupted_requests_the_same_run_again(served):
    served.rank()
    served.change(teachers=without(served.location.study, "tiny"))
    before = served.cursor
    (first,) = served.look().run_requests
    served.cursor = before  # the daemon died after it deleted the partition, before it started the run
    (second,) = served.look().run_requests
    assert first.run_key == second.run_key


def test_a_teacher_removed_before_the_first_tick_is_still_removed_from_the_ranking(served):
    served.rank()
    row = dict.fromkeys(CAR_TABLE.row_schema) | {"base": "base-a", "teacher": "gone"}
    table = pl.DataFrame([row], schema=CAR_TABLE.row_schema)
    Lake(served.store, "small").publish(CAR_TABLE, table, {}, "made")
    served.cursor = None
    assert len(served.look().run_requests) == 1
    assert served.look().run_requests == []
    shutil.rmtree(served.store)


def test_without_a_ranking_no_ranking_is_requested(served):
    served.change(teachers=without(served.location.study, "tiny"))
    assert served.look().run_requests == []


def test_a_bad_teacher_file_is_named_and_no_partition_is_deleted_until_it_is_fixed(served):
    served.rank()
    good = yaml.safe_dump(new_teacher(served) | {"path": "../new.jsonl"})
    served.put("new.yaml", good)
    assert len(served.look().run_requests) == 1
    served.put("new.yaml", good[:-8])
    result = served.look()
    assert "new.yaml" in result.skip_reason.skip_message
    assert "left out" in result.skip_reason.skip_message
    assert "new" in served.teachers()
    again = served.look().skip_reason.skip_message  # the daemon logs this twice a minute
    assert "new.yaml" not in again and "1 teacher file is still left out" in again
    served.put("new.yaml", good[:-30])  # broken in another way
    assert "new.yaml" in served.look().skip_reason.skip_message
    served.change(teachers=without(served.location.study, "tiny"))
    served.look()
    assert served.teachers() == {"brief", "chatty", "tiny", "new"}
    served.put("new.yaml", good)
    assert len(served.look().run_requests) == 1  # a ranking may have run without the new teacher in between
    assert served.teachers() == {"brief", "chatty", "new"}


def test_a_broken_study_fails_the_tick_with_the_studys_error_and_changes_nothing(served):
    served.change(car={"reward_model": "classifier", "beta": -1})
    with pytest.raises(StudyError, match=r"car.beta: -1 is "):
        served.look()
    assert served.teachers() == {"brief", "chatty", "tiny"}


def test_a_change_that_needs_a_reload_is_reported(served):
    served.change(recipes=[{"kind": "random", "name": "some", "rows": 3}])
    assert served.look().skip_reason.skip_message == "recipes changed: reload the code location"


def test_a_renamed_study_changes_nothing_until_a_reload(served):
    served.change(name="other", teachers=without(served.location.study, "tiny"))
    result = served.look()
    assert "'other' now, not 'small': reload the code location" in result.skip_reason.skip_message
    assert result.dynamic_partitions_requests == []
    assert served.teachers() == {"brief", "chatty", "tiny"}


def test_a_run_for_a_removed_teacher_fails_with_the_reason(served):
    from preceptor.study.schema import LeftStudyError

    with pytest.raises(LeftStudyError, match="teacher 'gone' is not in the study"):
        load_study(served.location.file).teacher("gone")


def test_the_weekly_schedule_scores_all_teachers_with_responses_by_every_reward_model(served):
    from jobs.schedules import rescore_weekly

    assert rescore_weekly.default_status == dg.DefaultScheduleStatus.STOPPED
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions("small/teachers", ["brief", "chatty", "tiny"])
        for teacher in ("brief", "tiny", "left-long-ago"):
            instance.report_runless_asset_event(dg.AssetMaterialization("responses", partition=teacher))
        with dg.build_schedule_context(instance) as context:
            keys = [str(request.partition_key) for request in rescore_weekly(context)]
    assert sorted(keys) == [
        f"{model}|{who}" for model in ("classifier", "scores") for who in ("brief", "tiny")
    ]


def test_a_killed_run_blocks_no_run_of_the_daemon(served):
    from jobs.processes import BEGAN, process_tags
    from jobs.sensors import dead_runs

    killed = create_run_for_test(
        served.instance, status=dg.DagsterRunStatus.STARTED, tags=process_tags() | {BEGAN: "1"}
    )
    said = [dead_runs(dg.build_sensor_context(instance=served.instance)).skip_message for _ in range(2)]
    assert said[0].startswith(f"run {killed.run_id[:8]} (")
    assert said[1] == "no run holds a slot"
    assert served.instance.get_run_by_id(killed.run_id).status == dg.DagsterRunStatus.FAILURE
