"""Rendering of chat templates: on a day that the study fixes, without chance, and to an end.

A template is a program of whoever made the model. transformers gives it today's date and random numbers, and
lets it run for ever; the rest is as transformers has it, so that a template renders here as it does there.
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

STEPS = 200_000  # turns of loops and calls of macros: a second or so; real templates take some a message
CHARACTERS_ADDED = 10_000_000  # beyond those of the conversation, each of which may stand there a few times
_steps_left: ContextVar[list[int]] = ContextVar("_steps_left")


class EndlessTemplateError(RuntimeError):
    """A template that was stopped before its end."""


class Generation(Extension):
    """The `generation` block, by which some templates mark what the assistant says: shown as it is."""

    tags = {"generation"}  # noqa: RUF012 - as jinja types it

    def parse(self, parser: Parser) -> nodes.Node:
        """The block as a scope of its own."""
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


class Sandbox(ImmutableSandboxedEnvironment):
    """What templates can call; `count_step` stands at the head of every loop and macro of them."""

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, LoopControlExtension])
        self.filters["tojson"] = _json
        self.filters["random"] = self.globals["lipsum"] = _no_chance
        self.globals["raise_exception"] = _refuse

    def count_step(self) -> str:
        """Raise EndlessTemplateError once a rendering has taken too many steps."""
        left = _steps_left.get()
        left[0] -= 1
        if left[0] < 0:
            raise EndlessTemplateError(f"takes more than {STEPS:,} steps")
        return ""


def render_template(source: str, day: date, names: Mapping[str, Any], characters: int) -> str:
    """The text that a template makes of `names`, whose texts have so many characters.

    Raises EndlessTemplateError, or whatever else the template raises.
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
                raise EndlessTemplateError("writes without end")
    finally:
        _steps_left.reset(outer)
    return "".join(chunks)


@lru_cache(maxsize=64)
def compiled(source: str) -> Template:
    """The template, its steps counted. Raises TemplateSyntaxError and whatever Python's compiler raises."""
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
    """What a template calls to write the date."""
    midnight = datetime(day.year, day.month, day.day)
    return midnight.strftime


def _json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Plain JSON: jinja's own filter writes for HTML."""
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)


def _no_chance(*_: Sequence[Any], **__: Any) -> NoReturn:
    raise TemplateError("it draws at random, so that no prompt could be made twice")
