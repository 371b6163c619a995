"""What `--check` says of keys, engines and names on a hub."""

from pathlib import Path

import yaml

from preceptor import check as check_module
from preceptor import source_files
from preceptor.check import Checked, check_study
from preceptor.hub import HubName, UnreachableError
from preceptor.instructions.collect import collect_instructions
from preceptor.records.layout import layout_of
from preceptor.responses.matching import Matching
from preceptor.responses.recorded import RecordingCount, read_recording
from preceptor.study.load import load_study
from tests.studies import document, with_runs, write_benchmarks, write_study

STUDIES = Path(__file__).parents[1] / "studies"
REMOTE = {"name": "remote", "engine": "openai", "model": "m", "api_key_variable": "SOME_KEY"}


def checked(folder, change=lambda study: None):
    write_study(folder)
    write_benchmarks(folder)
    study = with_runs(document("small"))
    change(study)
    (folder / "changed.yaml").write_text(yaml.safe_dump(study))
    return check_study(load_study(folder / "changed.yaml"))


def test_a_sound_study_of_local_models_asks_no_hub(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(check_module, "unknown_names", lambda names: asked.extend(names) or iter(()))
    found = checked(tmp_path)
    assert (found.problems, found.remarks, asked) == ((), (), [])


def test_a_key_that_is_not_set_is_told_where_a_server_may_want_one(tmp_path, monkeypatch):
    monkeypatch.delenv("SOME_KEY", raising=False)

    def ask(*addresses):
        def change(study):
            study["teachers"] += [
                {**REMOTE, "name": f"remote-{n}", "base_url": url} for n, url in enumerate(addresses)
            ]

        return change

    home = ("http://localhost:8000/v1", "http://10.1.2.3/v1", "http://server:1/v1", "http://[::1]/v1")
    assert checked(tmp_path, ask(*home)).remarks == ()
    (told,) = checked(tmp_path, ask("https://api.example.com/v1")).remarks
    assert told.startswith(
        "the environment variable SOME_KEY is not set; requests to https://api.example.com/v1 will"
    )
    monkeypatch.setenv("SOME_KEY", "x")
    assert checked(tmp_path, ask("https://api.example.com/v1")).remarks == ()


def hub_teacher(study):
    study["teachers"].append({"name": "big", "engine": "vllm", "model": "org/model", "revision": "v2"})
    study["reward_models"].append({"name": "more", "engine": "recorded", "dataset": "org/scores"})


def test_names_on_a_hub_and_engines_that_are_not_there_are_problems(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        check_module, "unknown_names", lambda names: asked.extend(names) or iter(["no such model"])
    )
    monkeypatch.setattr(check_module, "find_spec", lambda name: None)
    engine, unknown = checked(tmp_path, hub_teacher).problems
    assert "teacher big needs the engine vllm, which is not installed" in engine
    assert unknown == "no such model"
    assert asked == [HubName("model", "org/model", "v2"), HubName("dataset", "org/scores", None)]


def test_a_hub_that_does_not_answer_is_a_remark(tmp_path, monkeypatch):
    def away(names):
        raise UnreachableError("no route")

    monkeypatch.setattr(check_module, "unknown_names", away)
    monkeypatch.setattr(check_module, "find_spec", lambda name: object())
    found = checked(tmp_path, hub_teacher)
    assert found.problems == ()
    (told,) = found.remarks
    assert "the hub does not answer (no route)" in told
    assert (
        "model 'org/model' at 'v2', dataset 'org/scores'. Their steps fail unless the hub answers by" in told
    )


def test_every_file_of_rows_is_opened_and_what_is_wrong_with_it_said(tmp_path):
    (tmp_path / "asked.jsonl").write_text('[\n{"instruction": "Hi"}\n]\n')
    (tmp_path / "said.jsonl").write_text('{"instruction": "Hi", "response": "Ho", "context": "A page."}\n')
    (tmp_path / "more.csv").write_text("id,model,score\n1,t,2\n")

    def spoil(study):
        study["instructions"]["sources"] = [{"name": "mine", "path": "asked.jsonl"}]
        study["teachers"].append({"name": "said", "engine": "recorded", "path": "said.jsonl"})
        study["reward_models"].append({"name": "more", "engine": "recorded", "path": "more.csv"})
        study["car"] = {**study.get("car", {}), "reward_model": study["reward_models"][0]["name"]}

    listed, unread, columns = checked(tmp_path, spoil).problems
    assert listed.startswith("instruction source 'mine': ")
    assert "asked.jsonl: contains a JSON list, not one object per line; rename it to .json" in listed
    assert "column 'context' contains unread text in 1 of 1 rows" in unread
    assert "more.csv:2: no column 'question_id' (there are id, model, score)" in columns


def test_a_file_of_rows_is_read_again_when_it_or_what_is_asked_of_it_changed(tmp_path, monkeypatch):
    read, look = [], source_files.file_problems
    monkeypatch.setattr(
        source_files, "file_problems", lambda part, lost: read.append(part.name) or look(part, lost)
    )

    def again(change=lambda study: None):
        read.clear()
        write_study(tmp_path)  # the same content at another time
        for path, content in changed.items():
            path.write_text(content)
        study = document("small")
        change(study)
        (tmp_path / "again.yaml").write_text(yaml.safe_dump(study))
        problems = check_study(load_study(tmp_path / "again.yaml")).problems
        return sorted(read), problems

    changed = {}
    everything, _ = again()
    assert len(everything) > 3
    assert again() == ([], ())
    (recorded,) = [t for t in document("small")["teachers"] if t["engine"] == "recorded"][:1]
    changed[tmp_path / recorded["path"]] = "{}\n"
    for _ in range(2):
        names, problems = again()
        assert names == [recorded["name"]] and recorded["name"] in problems[0]
    changed.clear()
    assert again(lambda study: study.update(limits={"lost_rows": 0.5}))[0] == everything


def test_the_first_study_that_newcomers_copy_is_sound_and_its_answers_are_to_its_questions():
    study = load_study(STUDIES / "first.yaml")
    assert check_study(study) == Checked((), ())
    asked, _ = collect_instructions(study.instructions)
    assert asked.height == 40
    matching = Matching(asked)
    for teacher in study.teachers:
        count = RecordingCount(layout_of(teacher))
        found = {matching.by_text(said).instruction_id for _, said, _ in read_recording(teacher, count)}
        assert len(found) == count.read == 40
