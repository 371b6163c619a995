"""From what a model says to a program that ends well only if the model's function passes the tests."""

import re
from textwrap import dedent

from preceptor.evaluation.humaneval.problems import Problem, defines

STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")  # Chen et al. 2021, section 3.2
FENCE = re.compile(r"^[ \t]*(?:```|~~~).*$", re.MULTILINE)


def until_stop(completion: str) -> str:
    """What a completion says before the first of the paper's stop sequences (arXiv 2107.03374, 3.2)."""
    return min((completion.split(stop, maxsplit=1)[0] for stop in STOPS), key=len)


def program(problem: Problem, completion: str) -> str:
    """The prompt, the completion, the tests, and their call on the function (arXiv 2107.03374, 2.1).

    A completion is read as the first of these that it is:

    - it begins with an indented line: a body that goes on from the prompt, cut at the paper's stops and at a
      Markdown fence, which is no Python;
    - it has Markdown fences: of the fenced blocks, the first that defines the function, else the first one;
    - otherwise all of it is code.

    Code that defines the function itself stands whole behind the prompt, whose imports and other functions
    it may use and whose empty function it replaces. Other code is a body as above, whose first line is moved
    to the prompt's indentation: a tokenizer's decoding or a chat format takes blanks off an answer's start,
    and any other indentation is a syntax error.
    """
    return f"{_solution(problem, completion)}\n{problem.test}\ncheck({problem.entry_point})\n"


def _solution(problem: Problem, completion: str) -> str:
    completion = completion.replace("\r\n", "\n")
    code = FENCE.split(completion, maxsplit=1)[0] if _goes_on(completion) else _code(problem, completion)
    if defines(code, problem.entry_point) and not _goes_on(code):
        return f"{problem.prompt}\n{code}"
    return problem.prompt + _at(_indentation(problem.prompt), until_stop(code))


def _goes_on(completion: str) -> bool:
    """Whether the first line that is not blank is indented, and no fence."""
    first = next((line for line in completion.split("\n") if line.strip()), "")
    return first[:1] in (" ", "\t") and not FENCE.match(first)


def _code(problem: Problem, completion: str) -> str:
    """The fenced block that matters, to the end where its fence is never closed; all where there is none."""
    blocks = FENCE.split(completion)[1::2]
    if not blocks:
        return completion
    whole = (code for code in map(dedent, blocks) if defines(code, problem.entry_point))
    return next(whole, blocks[0])


def _indentation(prompt: str) -> str:
    last = prompt.rstrip().rpartition("\n")[2]
    return last[: len(last) - len(last.lstrip())]


def _at(indentation: str, body: str) -> str:
    """A body, its first line that is not blank at this indentation."""
    stripped = body.lstrip()
    blank_lines = body[: len(body) - len(stripped)].rpartition("\n")
    return blank_lines[0] + blank_lines[1] + indentation + stripped
