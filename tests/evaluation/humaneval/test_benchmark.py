"""HumanEval from a model's programs to pass@k; refused unless the study says that programs may run."""

import pytest

from preceptor.evaluation.evaluate import evaluate
from preceptor.evaluation.humaneval import benchmark as module
from preceptor.evaluation.humaneval.isolation import SandboxError
from preceptor.evaluation.humaneval.sandbox import Sandbox
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.study.benchmarks import HumanEval
from tests.evaluation.benchmarks import NOTHING_LOADED, Student, engines, job, write_lines
from tests.evaluation.humaneval.bubblewrap import require_bubblewrap

PROBLEMS = [
    {
        "task_id": f"T/{n}",
        "prompt": f'def add{n}(x):\n    """Add {n}."""\n',
        "entry_point": f"add{n}",
        "canonical_solution": f"    return x + {n}\n",
        "test": f"def check(candidate):\n    assert candidate(1) == {n + 1}\n",
    }
    for n in range(3)
]


@pytest.fixture(scope="module")
def bubblewrap():
    require_bubblewrap()


def humaneval(tmp_path, n=4, k=1, **settings) -> HumanEval:
    path = write_lines(tmp_path / "problems.jsonl", PROBLEMS)
    sampling = {"n": n, "temperature": 0.8}
    evaluation = {"name": "code", "kind": "humaneval", "path": path, "run_programs": True, "k": k}
    return HumanEval.model_validate(evaluation | {"sampling": sampling, **settings})


class Coder(Student):
    """Right on problem 0 always, on 1 in its first sample, on 2 never."""

    def stream(self, requests):
        tried = {}
        for number, request in enumerate(requests):
            problem = int(request.user[0].split("add")[1].split("(")[0])
            sample = tried.setdefault(problem, 0)
            tried[problem] += 1
            right = problem == 0 or (problem == 1 and sample == 0)
            self.say = lambda _, problem=problem, right=right: f"    return x + {problem if right else 99}\n"
            yield number, self._answer(request.user[0])


@pytest.mark.usefixtures("bubblewrap")
def test_programs_are_run_and_pass_at_k_is_the_papers(lake, tmp_path):
    found = evaluate(job(lake, humaneval(tmp_path, k=2), engines(Coder(str)), rows=5))
    assert (found.items.rows.height, found.account.judged) == (12, 12)
    scores = {row["metric"]: row for row in found.scores.rows.to_dicts()}
    # c of n = 4: 4, 1, 0. pass@2 = 1, 1 - C(3,2)/C(4,2) = 1/2, 0; pass@1 = 1, 1/4, 0.
    assert list(scores) == ["pass@2", "pass@1"]
    assert scores["pass@2"]["value"] == pytest.approx(0.5)
    assert scores["pass@1"]["value"] == pytest.approx(5 / 12)
    assert (scores["pass@2"]["n"], scores["pass@2"]["expected"]) == (3, 12)
    wrong = found.items.rows.filter(outcome=0.0)
    assert wrong["why"].str.contains("AssertionError").all()


@pytest.mark.usefixtures("bubblewrap")
def test_a_second_call_runs_nothing(lake, tmp_path, monkeypatch):
    first = evaluate(job(lake, humaneval(tmp_path), engines(Coder(str))))
    monkeypatch.setattr(Sandbox, "run_all", None)
    again = evaluate(job(lake, humaneval(tmp_path), NOTHING_LOADED))
    assert again.items.computed == 0 and again.scores.rows.equals(first.scores.rows)


def test_a_bare_model_is_asked_in_the_prompts_own_words_until_the_papers_stops(tmp_path):
    asked = module._asked(humaneval(tmp_path))
    assert asked.prompt_format == "raw" and "\ndef" in asked.sampling.stop
    chat = module._asked(humaneval(tmp_path, chat_format=True))
    assert chat.prompt_format == "own" and chat.sampling.stop == ()


def test_two_problems_of_one_prompt_are_refused(tmp_path):
    evaluation = humaneval(tmp_path)
    write_lines(tmp_path / "problems.jsonl", [*PROBLEMS, {**PROBLEMS[0], "task_id": "T/9"}])
    with pytest.raises(BenchmarkError, match=r"two problems of .* have the same prompt"):
        module._problems(evaluation)


def test_programs_run_only_if_the_study_says_so(tmp_path):
    with pytest.raises(ValueError, match=r"apt-get install bubblewrap.*set 'run_programs: true'"):
        humaneval(tmp_path, run_programs=False)


def test_pass_at_k_needs_k_samples(tmp_path):
    with pytest.raises(ValueError, match=r"pass@9 needs at least 9 samples: set sampling.n"):
        humaneval(tmp_path, k=9)


def test_a_machine_without_bubblewrap_says_what_to_install_before_any_model_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxError, match="apt install bubblewrap"):
        module.check(humaneval(tmp_path))
