"""Render chat templates with the study's date, without random numbers, and with a limit on steps.

A template is a program written by a model's author. transformers gives it today's date and random numbers,
and lets it run forever. Everything else matches transformers, so that templates render the same here.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from datetime import date, datetime
from functools import lru_cache
from typing import Any, NoReturn

from jinja2 import Template, nodes
from jinja2.exceptions import TemplateError
from jinja2.ext import Extension, LoopControlExtension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

STEPS = 200_000  # loop turns and macro calls, about one second; real templates take a few per message
CHARACTERS_ADDED = 10_000_000  # allowed beyond a multiple of the conversation's own characters
_steps_left: ContextVar[list[int]] = ContextVar("_steps_left")


class EndlessTemplateError(RuntimeError):
    """A template that was stopped because it did not end."""


class Generation(Extension):
    """The `generation` block, which some templates put around the assistant's text. Rendered unchanged."""

    tags = {"generation"}  # noqa: RUF012 - as jinja types it

    def parse(self, parser: Parser) -> nodes.Node:
        """Parse the block as a separate scope."""
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


class Sandbox(ImmutableSandboxedEnvironment):
    """What templates can call. `compiled` puts `count_step` at the start of every loop and macro."""

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, LoopControlExtension])
        self.filters["tojson"] = _json
        self.filters["random"] = self.globals["lipsum"] = _no_chance
        self.globals["raise_exception"] = _refuse

    def count_step(self) -> str:
        """Count a step. Raises EndlessTemplateError after too many."""
        left = _steps_left.get()
        left[0] -= 1
        if left[0] < 0:
            raise EndlessTemplateError(f"takes more than {STEPS:,} steps")
        return ""


def render_template(source: str, day: date, names: Mapping[str, Any], characters: int) -> str:
    """Render a template with the variables `names`. `characters` is the length of the conversation's texts.

    Raises EndlessTemplateError, or any error that the template itself raises.
    """
    template = compiled(source)
    limit = 100 * characters + CHARACTERS_ADDED
    chunks: list[str] = []
    outer = _steps_left.set([STEPS])
    try:
        for chunk in template.generate(**names, strftime_now=clock(day)):
            chunks.append(chunk)
            limit -= len(chunk)
            if limit < 0:
                raise EndlessTemplateError("writes text without end")
    finally:
        _steps_left.reset(outer)
    return "".join(chunks)


@lru_cache(maxsize=64)
def compiled(source: str) -> Template:
    """The template with its steps counted. Raises TemplateSyntaxError, or an error of Python's compiler."""
    sandbox = Sandbox()
    tree = sandbox.parse(source)
    called = nodes.Call(nodes.EnvironmentAttribute("count_step"), [], [], None, None)
    loops: list[nodes.For | nodes.Macro | nodes.CallBlock] = [*tree.find_all(nodes.For)]
    loops += [*tree.find_all(nodes.Macro), *tree.find_all(nodes.CallBlock)]
    for node in loops:
        node.body.insert(0, nodes.ExprStmt(called, lineno=node.lineno))
    tree.set_environment(sandbox)
    return sandbox.from_string(tree)


def clock(day: date) -> Callable[[str], str]:
    """The function that a template calls to write the date."""
    midnight = datetime(day.year, day.month, day.day)
    return midnight.strftime


def _json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Plain JSON. jinja's own filter escapes for HTML."""
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)


def _no_chance(*_: Sequence[Any], **__: Any) -> NoReturn:
    raise TemplateError("it uses random numbers, so no prompt could be reproduced")
