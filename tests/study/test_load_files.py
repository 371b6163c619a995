"""Whatever bytes a file holds, it is a study or one StudyError that names it: soon, and with no code run."""

import os
import re
from copy import deepcopy

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from preceptor.study.load import StudyError, load_study
from preceptor.study.schema import Study
from tests.study.documents import VALID, load, problems, refusal, replaced, within, write

CAR = "{reward_model: grades, beta: 3}"


def doubling(first, item, levels=60):
    """Lines that each hold the line before nine times: 9 ** levels values."""
    lines = [f"a0: &a0 {first}"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} {item.format(', '.join([f'*a{level - 1}'] * 9))}")
    return "\n".join(lines)


NO_STUDIES = {
    "empty": "",
    "comment": "# nothing here\n",
    "null": "~",
    "word": "hello",
    "list": "- name: small\n",
    "set": "!!set {name, teachers}",
    "open bracket": VALID + "limits: [1\n",
    "tab": VALID + "\tlimits: {}\n",
    "two documents": f"{VALID}---\n{VALID}",
    "binary": bytes(range(256)),
    "latin-1": VALID.replace("small", "größe").encode("latin-1"),
    "zero byte": VALID + "\0",
    "unknown tag": VALID + "limits: !mine {}\n",
    "unknown alias": VALID + "limits: *nowhere\n",
    "date that is none": replaced(("beta: 3", "beta: 2024-13-45")),
    "integer that is none": replaced(("beta: 3", "beta: !!int three")),
    "float that is none": replaced(("beta: 3", "beta: !!float three")),
    "boolean that is none": replaced(("beta: 3", "beta: !!bool three")),
    "time that is none": replaced(("beta: 3", "beta: !!timestamp three")),
    "binary that is none": replaced(("beta: 3", "beta: !!binary é")),
    "digits without a digit": replaced(("beta: 3", "beta: 0x_")),
    "huge integer": replaced(("beta: 3", f"beta: 1{'0' * 5000}")),
    "key that is a list": VALID + "? [a, b]\n: c\n",
    "key that is a mapping": VALID + "? {a: b}\n: c\n",
    "list key of an ordered map": VALID + "limits: !!omap [? [a] : b]\n",
    "merge of a word": replaced(("{name: base-b,", "{<<: base-a, name: base-b,")),
    "list in itself": VALID + "limits: &a [*a]\n",
    "mapping in itself": replaced((CAR, "&car {beta: *car}")),
    "alias bomb of lists": doubling("[x, x]", "[{}]"),
    "alias bomb of mappings": doubling("{x: y}", "{{<<: [{}]}}"),
    "alias bomb in a study": VALID + "limits:\n  " + doubling("[x]", "[{}]").replace("\n", "\n  "),
    "deep brackets": VALID + f"limits: {'[' * 5_000}{']' * 5_000}\n",
    "deep braces": VALID + f"limits: {'{a: ' * 5_000}{'}' * 5_000}\n",
    "deep dashes": VALID + f"limits: \n  {'- ' * 5_000}a\n",
}


@pytest.mark.parametrize("content", NO_STUDIES.values(), ids=NO_STUDIES)
def test_an_invalid_file_is_refused_with_its_name(tmp_path, content):
    refusal(tmp_path, content)


def test_a_study_that_is_not_a_mapping_is_refused_with_the_keys(tmp_path):
    assert "instructions, teachers, bases, reward_models" in refusal(tmp_path, "- name: small\n")


def test_deep_nesting_is_refused_with_the_name_of_the_file(tmp_path):
    for depth in range(10, 400, 30):  # somewhere in there is the limit of each recursion
        refusal(tmp_path, VALID + f"limits: {'[' * depth}{']' * depth}\n")
        refusal(tmp_path, VALID + f"limits: {'{a: ' * depth}1{'}' * depth}\n")


def test_a_tag_never_runs_code(tmp_path):
    proof = tmp_path / "proof"
    refusal(tmp_path, VALID + f"limits: !!python/object/apply:os.system ['touch {proof}']\n")
    assert not proof.exists()


def test_a_missing_file_and_a_folder_are_refused_with_their_names(tmp_path):
    for path in (tmp_path / "nowhere.yaml", tmp_path):
        with pytest.raises(StudyError) as caught:
            load_study(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("key", ["1", "~", "no", "1.5", "2024-01-01", '""', '"a\\ud800"'])
@pytest.mark.parametrize("old", ["name: small", "name: spare", "beta: 3"])
def test_a_key_that_is_not_text_is_one_problem_on_the_line_of_its_part(tmp_path, key, old):
    between = "\n" if old == "name: small" else ", "
    (problem,) = problems(tmp_path, replaced((old, f"{old}{between}{key}: 1")))
    line = VALID[: VALID.index(old)].count("\n") + 1
    assert problem.number in (line, line + (between == "\n"))


@pytest.mark.parametrize("change", [str.encode, lambda text: text.replace("\n", "\r\n"), "\ufeff{}".format])
def test_line_ends_and_byte_order_marks_do_not_matter(tmp_path, change):
    assert load(tmp_path, change(VALID)) == load(tmp_path, VALID)


def test_anchors_and_merge_keys_work(tmp_path):
    text = replaced(
        ("- {name: base-a,", "- &a {name: base-a,"),
        ("{name: base-b, model: organisation/base}", "{<<: *a, name: base-b}"),
    )
    bases = load(tmp_path, text).bases
    assert [base.name for base in bases] == ["base-a", "base-b"]
    assert bases[0].model == bases[1].model


def test_two_merges_in_one_mapping_are_refused_but_a_list_of_merges_is_allowed(tmp_path):
    twice = "    <<: {family: a}\n    <<: {family: b}\n"
    ((line, where, message),) = problems(tmp_path, replaced(("    path: answers.jsonl\n", twice)))[:1]
    assert (line, where) == (6, "teachers[0].<<") and "set twice" in message
    listed = "    path: answers.jsonl\n    <<: [{family: a}, {family: b}]\n"
    assert load(tmp_path, replaced(("    path: answers.jsonl\n", listed))).teachers[0].family == "a"


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_another_encoding_is_refused_with_the_fix(tmp_path, encoding):
    said = refusal(tmp_path, VALID.replace("small", "größe").encode(encoding))
    assert "it is not UTF-8 (byte " in said and said.endswith("save it as UTF-8")


@pytest.mark.parametrize(
    ("line", "cure"),
    [
        ("\tdescription: x", "replace the tab with spaces"),
        ("description: my first: try", "put the text in quotes"),
        ("description: @me", "put the text in quotes"),
        (r'description: "C:\data"', "use single quotes"),
        ('description: "me', "missing closing quote"),
        ("limits: {lost_rows: 0", "a comma, a colon or a closing brace is missing"),
    ],
)
def test_invalid_yaml_gives_one_sentence_with_line_and_fix(tmp_path, line, cure):
    said = refusal(tmp_path, f"{line}\n{VALID}")
    assert re.search(r"small\.yaml:\d+: cannot be read as a study: invalid YAML in column \d+", said)
    assert cure in said and "\n" not in said and "unicode string" not in said


def test_relative_paths_start_at_the_folder_of_the_study(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    file = write(tmp_path / "studies", VALID)
    monkeypatch.chdir(tmp_path / "elsewhere")
    for path in (file, "../studies/small.yaml"):
        study = load_study(path, {})
        assert study.teachers[0].path == str(tmp_path / "studies" / "answers.jsonl")
        assert study.bases[0].model == str(tmp_path / "studies" / "model")
        assert study.bases[1].model == "organisation/base"


@pytest.mark.parametrize("place", ["chat_template.jinja", "tokenizer.json", "more/model.safetensors"])
@pytest.mark.parametrize(
    ("make", "kind"),
    [(os.mkfifo, "a pipe"), (lambda path: path.symlink_to("/dev/zero"), "a device")],
    ids=["pipe", "device"],
)
def test_an_endless_file_in_a_model_folder_is_refused_before_it_is_opened(tmp_path, place, make, kind):
    write(tmp_path, VALID)
    path = tmp_path / "model" / place
    path.parent.mkdir(exist_ok=True)
    make(path)
    (tmp_path / "model" / "dangling").symlink_to("nowhere")
    (tmp_path / "model" / "loop").symlink_to("loop")
    ((line, where, message),) = problems(tmp_path, VALID)
    assert (line, where) == (15, "bases[0].model")
    assert f"the folder's {place} is {kind}; use a regular file or folder" in message


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    home = write(tmp_path / "home", VALID).parent
    monkeypatch.setenv("HOME", str(home))
    text = replaced(("path: answers.jsonl", "path: ~/answers.jsonl"), ("./model", "~/model"))
    study = load(tmp_path / "studies", text)
    assert study.teachers[0].path == str(home / "answers.jsonl")
    assert study.bases[0].model == str(home / "model")


def test_absolute_and_unicode_paths_are_kept(tmp_path):
    file = tmp_path / "Fragen 问题.jsonl"
    file.touch()
    study = load(tmp_path / "studies", replaced(("path: questions.jsonl", f'path: "{file}"')))
    assert study.instructions.sources[0].path == str(file)


DOCUMENT = yaml.safe_load(VALID)
TEXTS = [
    "",
    "~",
    "~x",
    ".",
    "..",
    "/",
    "a|b",
    "${X}",
    "${X:-1}",
    "${API_KEY}",
    "a\0b",
    "x" * 5000,
    "a\ud800",
    "a\nb",
]
WORDS = st.text(max_size=8) | st.sampled_from(TEXTS)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | st.binary(max_size=4) | WORDS
JUNK = st.sampled_from(TEXTS) | st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.integers() | st.none(), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value, place=()):
    """Every key and every index of a document, with the way to it."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*place, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*place, key))


@st.composite
def mutated(draw):
    document = deepcopy(DOCUMENT)
    for _ in range(draw(st.integers(1, 3))):
        *way, key = draw(st.sampled_from(list(places(document)) or [("name",)]))
        part = document
        for step in way:
            part = part[step]
        change = draw(st.sampled_from(["replace", "drop", "add"]))
        if change == "replace":
            part[key] = draw(JUNK)
        elif change == "add" and isinstance(part, dict):
            part[draw(WORDS)] = draw(JUNK)
        elif key in part or isinstance(part, list):
            del part[key]
    return document


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("mutated")


@settings(max_examples=150)
@given(mutated())
def test_a_mutated_study_loads_or_is_refused_with_the_name_of_the_file(folder, document):
    file = write(folder, yaml.safe_dump(document))
    try:
        with within(20):
            study = load_study(file, {"API_KEY": "s3cret"})
    except StudyError as error:
        text = str(error)
        assert str(file) in text
        assert "s3cret" not in text
        assert len(set(text.splitlines())) == len(text.splitlines())
        text.encode()  # it can be printed
    else:
        assert isinstance(study, Study)
        assert "s3cret" not in repr(study)
