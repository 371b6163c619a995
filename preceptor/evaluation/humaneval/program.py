"""Builds a program from a model's answer. It succeeds only if the model's function passes the tests."""

import re
from textwrap import dedent

from preceptor.evaluation.humaneval.problems import Problem, defines

STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")  # Chen et al. 2021, section 3.2
FENCE = re.compile(r"^[ \t]*(?:```|~~~).*$", re.MULTILINE)


def until_stop(completion: str) -> str:
    """The completion before the first of the paper's stop sequences (arXiv 2107.03374, 3.2)."""
    return min((completion.split(stop, maxsplit=1)[0] for stop in STOPS), key=len)


def program(problem: Problem, completion: str) -> str:
    """The prompt, the completion, the tests, and their call on the function (arXiv 2107.03374, 2.1).

    A completion is read by the first rule that applies:

    - It begins with an indented line: it is a body that continues the prompt. It is cut at the paper's stops
      and at a Markdown fence.
    - It has Markdown fences: the code is the first block that defines the function, else the first block.
    - Otherwise all of it is code.

    Code that defines the function itself is appended to the prompt. It replaces the prompt's empty function,
    and may use the prompt's imports and other functions. Other code is a body as above. Its first line gets
    the prompt's indentation, because decoding or a chat format may strip blanks from an answer's start.
    """
    return f"{_solution(problem, completion)}\n{problem.test}\ncheck({problem.entry_point})\n"


def _solution(problem: Problem, completion: str) -> str:
    completion = completion.replace("\r\n", "\n")
    code = FENCE.split(completion, maxsplit=1)[0] if _goes_on(completion) else _code(problem, completion)
    if defines(code, problem.entry_point) and not _goes_on(code):
        return f"{problem.prompt}\n{code}"
    return problem.prompt + _at(_indentation(problem.prompt), until_stop(code))


def _goes_on(completion: str) -> bool:
    """Whether the first line that is not blank is indented and not a fence."""
    first = next((line for line in completion.split("\n") if line.strip()), "")
    return first[:1] in (" ", "\t") and not FENCE.match(first)


def _code(problem: Problem, completion: str) -> str:
    """The fenced block to use (an unclosed one reaches to the end), or all text if there is no fence."""
    blocks = FENCE.split(completion)[1::2]
    if not blocks:
        return completion
    whole = (code for code in map(dedent, blocks) if defines(code, problem.entry_point))
    return next(whole, blocks[0])


def _indentation(prompt: str) -> str:
    last = prompt.rstrip().rpartition("\n")[2]
    return last[: len(last) - len(last.lstrip())]


def _at(indentation: str, body: str) -> str:
    """A body with this indentation of its first line that is not blank."""
    stripped = body.lstrip()
    blank_lines = body[: len(body) - len(stripped)].rpartition("\n")
    return blank_lines[0] + blank_lines[1] + indentation + stripped
