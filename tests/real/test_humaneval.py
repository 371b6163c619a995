"""HumanEval's 164 real problems in the sandbox: its own solutions pass, functions that do nothing fail."""

import pytest

from preceptor.evaluation.humaneval.isolation import Limits
from preceptor.evaluation.humaneval.problems import Problem, read_problems
from preceptor.evaluation.humaneval.program import program
from preceptor.evaluation.humaneval.sandbox import ProgramResult, Sandbox
from preceptor.study.fields import Records
from tests.conftest import REAL_DATA
from tests.evaluation.humaneval.bubblewrap import require_bubblewrap

FILE = REAL_DATA / "humaneval" / "HumanEval.jsonl.gz"
SANDBOX = Sandbox(Limits())
pytestmark = [
    pytest.mark.slow,  # 492 programs
    pytest.mark.skipif(not FILE.is_file(), reason=f"no real data at {REAL_DATA}"),
]
IMPORTS_ABOVE_ITS_DOCSTRING = "HumanEval/115"  # so a signature alone lacks `math`, whoever repeats it


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    require_bubblewrap()
    return read_problems(Records(path=str(FILE)))


def outcomes(programs: list[str]) -> list[ProgramResult]:
    assert len(programs) == 164  # MANIFEST.md, and Chen et al. 2021, section 2.2
    return SANDBOX.run_all(programs, workers=2)


def signature(problem: Problem) -> str:
    """The prompt's last function without its docstring, as a chat model repeats it."""
    (line,) = [line for line in problem.prompt.splitlines() if line.startswith(f"def {problem.entry_point}(")]
    return line


def test_the_canonical_solutions_pass(problems):
    found = outcomes([program(problem, problem.canonical_solution) for problem in problems])
    assert [pair for pair in zip(problems, found, strict=True) if not pair[1].passed] == []


def test_they_pass_as_a_chat_models_fenced_answer(problems):
    answers = [f"Sure:\n```python\n{signature(p)}\n{p.canonical_solution}```\nDone." for p in problems]
    found = outcomes([program(*pair) for pair in zip(problems, answers, strict=True)])
    lost = [problem.task_id for problem, outcome in zip(problems, found, strict=True) if not outcome.passed]
    assert lost == [IMPORTS_ABOVE_ITS_DOCSTRING]


def test_a_body_that_does_nothing_fails(problems):
    found = outcomes([program(problem, "    pass\n") for problem in problems])
    assert [pair for pair in zip(problems, found, strict=True) if pair[1].passed] == []
    assert {outcome.why.partition(":")[0] for outcome in found} == {"failed"}
