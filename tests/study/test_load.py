"""Each mistake of a study is exactly one line: file, line, path, value and what is allowed."""

import pytest

from tests.study.documents import problems, replaced

TOP = "evaluations:\n"
SAMPLING = "sampling: {temperature: 0.7, n: 4}"
SPARE = "{name: spare, engine: recorded, dataset: organisation/answers}"
SOURCE = "{name: questions, path: questions.jsonl}"
BASE_B = "{name: base-b, model: organisation/base}"
CAR = "{reward_model: grades, beta: 3}"
DRAWN = "rows: 10, teachers: [graded, spare]"
EVALUATION = "{name: alpaca, kind: checkers, dataset: organisation/benchmark}"
RUN = "{name: first, base: base-a, recipe: best, tuning: full}"

# what is replaced, by what, the line and path of the one problem, and parts of its message
MISTAKES = {
    "unknown key": (TOP, "smapling: 1\nevaluations:\n", "30 smapling", "teachers, teacher_files, bases"),
    "unknown key of a teacher": (
        SPARE,
        SPARE.replace("dataset", "sampling: {}, dataset"),
        "13 teachers[2].sampling",
        "dataset … columns … split",
    ),
    "unknown key of sampling": (
        SAMPLING,
        "sampling: {temperature: 0.7, topp: 1}",
        "12 teachers[1].sampling.topp",
        "top_p … max_new_tokens",
    ),
    "unknown key of a recipe": (DRAWN, "rows: 10, base: base-a", "23 recipes[1].base", "rows … teachers"),
    "unknown key of a source": (
        SOURCE,
        SOURCE.replace("}", ", columns: {txt: a}}"),
        "4 instructions.sources[0].columns.txt",
        "instruction, input, system, history, response, messages, id, answer, check",
    ),
    "negative temperature": (
        SAMPLING,
        "sampling: {temperature: -1}",
        "12 teachers[1].sampling.temperature",
        "-1 … greater than or equal to 0",
    ),
    "words for a number": (SAMPLING, "sampling: {n: many}", "12 teachers[1].sampling.n", "'many' … integer"),
    "n without randomness": (
        SAMPLING,
        "sampling: {temperature: 0, n: 4}",
        "12 teachers[1].sampling",
        "n above 1 needs a temperature above 0",
    ),
    "a list for a number": (DRAWN, "rows: [3]", "23 recipes[1].rows", "[3] … integer"),
    "infinite beta": (CAR, CAR.replace("beta: 3", "beta: .inf"), "20 car.beta", "inf … finite"),
    "shift that is no number": (
        CAR,
        CAR.replace("beta: 3", "reward_map: {kind: affine, shift: .nan}"),
        "20 car.reward_map.shift",
        "nan … finite",
    ),
    "unknown dtype": (BASE_B, BASE_B.replace("}", ", dtype: f4}"), "16 bases[1].dtype", "'f4' … 'float32'"),
    "engine typo": (
        "engine: transformers",
        "engine: transfomers",
        "10 teachers[1].engine",
        "'transfomers' … 'recorded' … 'transformers'",
    ),
    "no engine": ("    engine: transformers\n", "", "9 teachers[1].engine", "required"),
    "reward engine typo": (
        "sequence_classification",
        "classifier",
        "19 reward_models[1].engine",
        "'classifier' … 'recorded' … 'sequence_classification'",
    ),
    "recipe typo": ("kind: random", "kind: randon", "23 recipes[1].kind", "'randon' … 'top_k' … 'random'"),
    "no model": ("    model: organisation/teacher\n", "", "9 teachers[1].model", "required"),
    "no name": ("name: small\n", "", "1 name", "required"),
    "no instructions": ("instructions:\n  sources:\n    - " + SOURCE, "", "1 instructions", "required"),
    "a word for a part": (EVALUATION, "a", "31 evaluations[0]", "'a' … must be a mapping"),
    "two origins": (
        SPARE,
        SPARE.replace("}", ", path: answers.jsonl}"),
        "13 teachers[2]",
        "'path' … 'dataset'",
    ),
    "no origin": (SOURCE, "{name: questions}", "4 instructions.sources[0]", "'path' … 'dataset'"),
    "missing file": (
        "questions.jsonl",
        "nowhere.jsonl",
        "4 instructions.sources[0].path",
        "nowhere.jsonl … no such",
    ),
    "too long a path": ("answers.jsonl", "a" * 5000, "8 teachers[0].path", "aaaa"),
    "unknown home": ("answers.jsonl", "~nobody-at-all/a", "8 teachers[0].path", "~nobody-at-all/a"),
    "path that no file can have": ("answers.jsonl", '"a\\ud800"', "8 teachers[0].path", "no such"),
    "missing model": ("./model", "./nowhere", "15 bases[0].model", "./nowhere … no such"),
    "folder without a model": ("./model", "./no-model", "15 bases[0].model", "./no-model … config.json"),
    "no hub id": ("organisation/base", "a/b/c", "16 bases[1].model", "'a/b/c' … organisation/model"),
    "repeated name": (
        "name: judge",
        "name: grades",
        "19 reward_models[1].name",
        "'grades' … reward_models[0]",
    ),
    "name in capitals": (
        "name: judge",
        "name: GRADES",
        "19 reward_models[1].name",
        "'GRADES' … reward_models[0]",
    ),
    "repeated key": (CAR, "{reward_model: grades, beta: 3, beta: 4}", "20 car.beta", "twice"),
    "repeated key with a bad value": (
        CAR,
        "{reward_model: grades, beta: 3, beta: -4}",
        "20 car.beta",
        "twice",
    ),
    "repeated part": (TOP, "limits: {}\nlimits: {}\nevaluations:\n", "30 limits", "twice"),
    "unknown base of a recipe": (
        "best, base: base-a",
        "best, base: b",
        "22 recipes[0].base",
        "'b' … base-a, base-b",
    ),
    "unknown teacher": (
        "teacher: sampled",
        "teacher: t",
        "25 recipes[3].teacher",
        "'t' … graded, sampled, spare",
    ),
    "unknown base of a run": (RUN, RUN.replace("base-a", "b"), "29 runs[0].base", "'b' … base-a, base-b"),
    "unknown tuning": (RUN, RUN.replace("full", "f"), "29 runs[0].tuning", "'f' … full"),
    "several answers to an item": (
        EVALUATION,
        EVALUATION.replace("}", ", sampling: {temperature: 1, n: 2}}"),
        "31 evaluations[0].sampling",
        "one answer per item",
    ),
    "unknown recipe": (
        RUN,
        RUN.replace("best", "r"),
        "29 runs[0].recipe",
        "'r' … best, drawn, likely, picked",
    ),
    "unknown teacher of a list": (
        DRAWN,
        "rows: 1, teachers: [graded, t]",
        "23 recipes[1].teachers[1]",
        "'t' … spare",
    ),
    "unknown graded teacher": (
        "{graded: someone}",
        "{t: someone}",
        "18 reward_models[0].teachers.t",
        "'t' … graded, sampled, spare",
    ),
    "unknown reward model": (CAR, "{reward_model: g}", "20 car.reward_model", "'g' … grades, judge"),
    "no reward model chosen": (CAR, "{beta: 3}", "20 car", "car.reward_model"),
    "base that is no text": (
        "best, base: base-a",
        "best, base: 5",
        "22 recipes[0].base",
        "5 … must be text",
    ),
}


@pytest.mark.parametrize(("old", "new", "place", "parts"), MISTAKES.values(), ids=MISTAKES)
def test_a_problem_is_one_line_with_its_place_and_the_allowed_values(tmp_path, old, new, place, parts):
    (problem,) = problems(tmp_path, replaced((old, new)))
    assert f"{problem.number} {problem.path}" == place
    assert [part for part in parts.split(" … ") if part not in problem.message] == []
