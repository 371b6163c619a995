"""Teachers in files of their own: one bad file is left out and named, and stops nobody."""

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preceptor.study.load import StudyError, load_study, read_study
from tests.study.documents import VALID, replaced, within, write

WATCHING = VALID.replace("bases:\n", "teacher_files: watched\nbases:\n", 1)
SPARE = "{name: spare, engine: recorded, dataset: organisation/answers}"
TEACHER = "name: {name}\nengine: recorded\npath: said.jsonl\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "watched").mkdir()
    (tmp_path / "watched" / "said.jsonl").touch()
    write(tmp_path, WATCHING)
    return tmp_path


def put(folder, name, content):
    file = folder / "watched" / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def read(folder, content=WATCHING, **environment):
    return read_study(write(folder, content), environment)


def names(study):
    return [teacher.name for teacher in study.teachers]


def test_files_add_teachers_after_the_studys_own_in_the_order_of_their_names(folder):
    put(folder, "b.yaml", TEACHER.format(name="last"))
    put(folder, "a.yml", TEACHER.format(name="first"))
    put(folder, "notes.txt", "no teacher")
    put(folder, ".b.yaml.swp.yaml", "an editor's")
    found = read(folder)
    assert names(found.study) == ["graded", "sampled", "spare", "first", "last"]
    assert found.left_out == ()


def test_paths_start_from_the_file_and_variables_expand(folder):
    put(folder, "a.yaml", "name: a\nengine: ${ENGINE}\npath: said.jsonl\n")
    teacher = read(folder, ENGINE="recorded").study.teacher("a")
    assert teacher.path == str(folder / "watched" / "said.jsonl")


def test_a_pipe_and_links_to_devices_and_the_kernel_are_left_out_without_being_opened(folder):
    os.mkfifo(folder / "watched" / "a.yaml")
    (folder / "watched" / "b.yaml").symlink_to("/dev/zero")
    (folder / "watched" / "c.yaml").symlink_to("/proc/self/environ")
    os.mkfifo(folder / "watched" / "pipe.jsonl")
    put(folder, "d.yaml", "name: d\nengine: recorded\npath: pipe.jsonl\n")
    put(folder, "e.yaml", TEACHER.format(name="good"))
    found = read(folder)
    assert names(found.study) == ["graded", "sampled", "spare", "good"]
    for left_out, said in zip(
        found.left_out,
        (
            "a.yaml: cannot be read as a teacher: it is a pipe",
            "it is a device",
            "it is in /proc",
            "is a pipe",
        ),
        strict=True,
    ):
        assert said in left_out


# a file, the line and field of its one problem, and parts of the message
BAD = {
    "unknown key": (TEACHER + "color: red\n", "4: color", "is not a known key; known keys are path"),
    "no engine": ("name: a\npath: said.jsonl\n", "1: engine", "is required"),
    "no path": ("name: a\nengine: recorded\npath: gone.jsonl\n", "3: path", "no such file"),
    "no model": ("name: a\nengine: transformers\nmodel: ./gone\n", "3: model", "no such file"),
    "unset variable": ("name: a\nengine: recorded\npath: ${NOWHERE}\n", "3: path", "NOWHERE is not set"),
    "the study's name": (TEACHER.format(name="GRADED"), "1: name", "the study itself"),
    "another file's name": (TEACHER.format(name="whole"), "1: name", "already a teacher in"),
    "twice a key": (TEACHER + "path: b\n", "3: path", "twice"),
    "negative": (
        "name: a\nengine: openai\nsampling: {n: 0}\nmodel: m\nbase_url: http://a\n",
        "3: sampling.n",
        "0",
    ),
}


@pytest.mark.parametrize(("content", "place", "message"), BAD.values(), ids=BAD)
def test_a_bad_file_is_named_with_line_field_and_fix_and_the_others_stay(folder, content, place, message):
    put(folder, "0.yaml", TEACHER.format(name="whole"))
    bad = put(folder, "bad.yaml", content.replace("{name}", "a"))
    put(folder, "z.yaml", TEACHER.format(name="also-whole"))
    found = read(folder)
    assert names(found.study)[3:] == ["whole", "also-whole"]
    (text,) = found.left_out
    assert f"left out: {bad} has 1 problem" in text
    assert f"{bad}:{place}: " in text
    assert message in text


UNREADABLE = [
    "",
    "{",
    "- a",
    "name: [",
    b"\xff\xfe",
    "a: &a [*a]",
    "!!python/object/apply:os.system ['true']",
]


@pytest.mark.parametrize("content", UNREADABLE)
def test_an_invalid_or_incomplete_file_is_left_out_with_its_name(folder, content):
    bad = put(folder, "bad.yaml", content)
    put(folder, "z.yaml", TEACHER.format(name="whole"))
    found = read(folder)
    assert names(found.study)[3:] == ["whole"]
    assert str(bad) in found.left_out[0]


@settings(max_examples=60)
@given(cut=st.integers(0, 200))
def test_a_partly_written_file_does_not_stop_the_study(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("half")
    (folder / "watched").mkdir()
    (folder / "watched" / "said.jsonl").touch()
    whole = json.dumps({"name": "late", "engine": "recorded", "path": "said.jsonl", "terms": "x" * 90})
    put(folder, "late.yaml", whole[:cut])
    with within(20):
        found = read(folder)
    there = "late" in names(found.study)
    assert there == (cut >= len(whole))
    assert there != bool(found.left_out)


def test_a_recipe_may_name_a_teacher_of_a_teacher_file(folder):
    text = replaced(("teachers: [graded, spare]", "teachers: [graded, late]"), text=WATCHING)
    with pytest.raises(
        StudyError, match=r"recipes\[1\].teachers\[1\]: 'late' is not among the study's teachers"
    ):
        read(folder, text)
    put(folder, "late.yaml", TEACHER.format(name="late"))
    assert "late" in names(read(folder, text).study)


def test_names_of_teachers_are_not_checked_while_a_file_is_unreadable(folder):
    text = replaced(("teachers: [graded, spare]", "teachers: [graded, late]"), text=WATCHING)
    put(folder, "late.yaml", "name: late\nengine: rec")
    assert len(read(folder, text).left_out) == 1


def test_a_study_may_have_all_its_teachers_in_files(folder):
    start, end = WATCHING.index("teachers:\n"), WATCHING.index("teacher_files:")
    text = WATCHING[:start] + WATCHING[end : WATCHING.index("recipes:")]
    text = text.replace(", teachers: {graded: someone}", "")
    assert names(read(folder, text).study) == []
    put(folder, "a.yaml", TEACHER.format(name="a"))
    assert names(read(folder, text).study) == ["a"]
    with pytest.raises(StudyError, match=r"teachers: is required: a list of teachers, or .*'teacher_files'"):
        read(folder, text.replace("teacher_files: watched\n", ""))


@pytest.mark.parametrize(
    ("value", "message"), [("nowhere", "no such file or folder"), ("questions.jsonl", "folder")]
)
def test_an_invalid_folder_is_a_problem_of_the_study(folder, value, message):
    with pytest.raises(StudyError, match=rf"teacher_files: .*{message}"):
        read(folder, WATCHING.replace("watched", value))


def test_other_problems_of_the_study_are_reported(folder):
    put(folder, "bad.yaml", "{")
    with pytest.raises(StudyError, match=r"has 1 problem:\n.*car.beta: -1 is "):
        read(folder, replaced(("beta: 3", "beta: -1"), text=WATCHING))


def test_load_study_gives_the_teachers_of_files_too(folder):
    put(folder, "a.yaml", TEACHER.format(name="a"))
    assert names(load_study(folder / "small.yaml", {}))[-1] == "a"
