"""A child process that renders conversations by a chat template that may never end, within limits.

`python -m preceptor.compute.template_trial SECONDS BYTES` reads [source, origin, date, special tokens] as
JSON and prints what is wrong, or nothing. The system ends it where a template takes more than its limits.
"""

import json
import resource
import sys
from datetime import date

from preceptor.compute.chat_template import ChatTemplate, TemplateProblem, UnusableTemplateError
from preceptor.compute.conversation import SHAPES, sample


def main(seconds: int, size: int) -> None:
    """Print why the template cannot be used, if it cannot."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    source, origin, day, tokens = json.load(sys.stdin)
    template = ChatTemplate(source, origin, date.fromisoformat(day))
    sys.stdout.write(_problem(template, json.loads(tokens)) or "")


def _problem(template: ChatTemplate, tokens: dict[str, str]) -> str | None:
    """Why no conversation can be rendered; one that is refused beside others is for its rows to say."""
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
