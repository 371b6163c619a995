"""A child process that tests a chat template within limits, because a template may never end.

`python -m preceptor.compute.template_trial SECONDS BYTES` reads [source, origin, date, special tokens] as
JSON and prints what is wrong, or nothing. The operating system stops it when it exceeds a limit.
"""

import json
import resource
import sys
from datetime import date

from preceptor.compute.chat_template import ChatTemplate, TemplateProblem, UnusableTemplateError
from preceptor.compute.conversation import SHAPES, sample


def main(seconds: int, size: int) -> None:
    """Print the problem of the template, if it has one."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    source, origin, day, tokens = json.load(sys.stdin)
    template = ChatTemplate(source, origin, date.fromisoformat(day))
    sys.stdout.write(_problem(template, json.loads(tokens)) or "")


def _problem(template: ChatTemplate, tokens: dict[str, str]) -> str | None:
    """Why no conversation can be rendered. If only some are refused, their rows report it."""
    problems = []
    for system, turns in SHAPES:
        conversation = sample(system, turns)
        for prompt in (True, False):
            try:
                template.text(tokens, conversation.messages(turns, turns - prompt), prompt)
            except UnusableTemplateError as problem:
                return str(problem)
            except TemplateProblem as problem:
                problems.append(str(problem))
    return problems[0] if len(problems) == 2 * len(SHAPES) else None


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
