"""Templates render as in transformers, with the study's date. A failing template is named with its file."""

import json
from datetime import date
from pathlib import Path

import pytest
import transformers.utils.chat_template_utils as theirs
from transformers import AutoTokenizer

from preceptor.compute.chat_template import ChatTemplate, TemplateProblem, template_of
from preceptor.compute.conversation import Conversation, render_prompt, render_text, sample
from preceptor.responses.generate import generation_fingerprint
from preceptor.study.teachers import TransformersTeacher
from tests.conftest import CHATML, byte_tokenizer

trl = pytest.importorskip("trl")
REAL = sorted((Path(trl.__file__).parent / "chat_templates").glob("*.jinja"))
WANTS_PARTS = ("idefics3", "llava_next", "smolvlm")  # models with vision, whose texts are lists of parts
NO_SYSTEM = "gemma.jinja", "gemma_training.jinja"
DATED = "{{ strftime_now('%d %b %Y') }}" + CHATML


def saved(folder: Path, template: str | None):
    byte_tokenizer(template=template).save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


class Clock(theirs.datetime):
    """A clock fixed to the default date."""

    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26, 9, 30)


@pytest.mark.parametrize("file", REAL, ids=lambda file: file.stem)
def test_real_templates_render_as_transformers_renders_them(file, monkeypatch):
    monkeypatch.setattr(theirs, "datetime", Clock)
    tokenizer, source = byte_tokenizer(), file.read_text()
    template = ChatTemplate(source, file.name)
    talk = sample(system=file.name not in NO_SYSTEM, turns=2)
    asked = Conversation(talk.system, talk.user, talk.assistant[:1])
    if file.name.startswith(WANTS_PARTS):
        with pytest.raises(TemplateProblem, match=r"leaves out|refuses"):
            render_prompt(tokenizer, template, asked)
        return
    options = {"chat_template": source, "tokenize": False}
    prompt = tokenizer.apply_chat_template(asked.messages(2, 1), add_generation_prompt=True, **options)
    assert render_prompt(tokenizer, template, asked) == prompt
    assert render_text(tokenizer, template, talk) == tokenizer.apply_chat_template(
        talk.messages(2, 2), **options
    )


def test_generation_blocks_render_unchanged():
    source = "{% for m in messages %}{% generation %}{{ m['content'] }}{% endgeneration %};{% endfor %}"
    assert render_text(byte_tokenizer(), ChatTemplate(source), Conversation(None, ("q",), ("a",))) == "q;a;"


@pytest.mark.parametrize("day", [date(2026, 11, 28), date(2026, 11, 29)])
def test_a_prompt_shows_the_studys_date_whatever_the_day(tmp_path, monkeypatch, day):
    monkeypatch.setattr(theirs, "datetime", type("Day", (Clock,), {"now": lambda tz=None: day}))
    tokenizer, ask = saved(tmp_path, DATED), Conversation(None, ("Q",))
    prompt = render_prompt(tokenizer, template_of(tokenizer, "own"), ask)
    assert prompt.startswith("26 Jul 2024<|im_start|>user\nQ")
    other = template_of(tokenizer, "own", date(2020, 2, 29))
    assert render_prompt(tokenizer, other, ask).startswith("29 Feb 2020")


def test_the_date_is_in_the_fingerprint_if_a_template_can_show_it(tmp_path):
    def rows(model, day=None, prompt_format="own"):
        settings = {
            "name": "t",
            "engine": "transformers",
            "model": str(model),
            "prompt_format": prompt_format,
        }
        return generation_fingerprint(TransformersTeacher(**settings, prompt_date=day))

    for name, template in {"dated": DATED, "plain": CHATML}.items():
        saved(tmp_path / name, template)
        (tmp_path / name / "config.json").write_text("{}")
    days = date(2024, 7, 26), date(2024, 7, 27)
    dated, plain = tmp_path / "dated", tmp_path / "plain"
    assert rows(dated) == rows(dated, days[0]) != rows(dated, days[1])
    assert rows(plain, days[0]) == rows(plain, days[1])
    assert rows(dated, days[0], "tulu") == rows(dated, days[1], "tulu")
    commit = TransformersTeacher(name="t", engine="transformers", model="some/model", revision="a" * 40)
    other = commit.model_copy(update={"prompt_date": days[1]})
    assert generation_fingerprint(commit) != generation_fingerprint(
        other
    )  # its template is not on this machine


LOOPS = {
    "a range": "{% for i in range(10**12) %}{% endfor %}",
    "loops in loops": "{% for i in range(10**5) %}{% for j in range(10**5) %}{% endfor %}{% endfor %}",
    "a macro that calls itself twice": (
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}"
    ),
    "a macro that calls itself": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "a text that doubles": (
        "{% set n = namespace(t='ab') %}{% for i in range(60) %}{% set n.t = n.t ~ n.t %}{% endfor %}"
    ),
    "a text of a terabyte": "{{ 'a' * 10**12 }}",
    "loops that do nothing": (
        "{% for i in range(10**5) %}{% for j in range(10**5) if j < 0 %}{% endfor %}{% endfor %}"
    ),
}


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_an_endless_template_is_named_with_folder_and_file(tmp_path, monkeypatch, loop):
    monkeypatch.setattr("preceptor.compute.chat_template.TRIAL_SECONDS", 1)
    tokenizer = saved(tmp_path, CHATML + loop)
    with pytest.raises(TemplateProblem) as caught:
        template_of(tokenizer, "own")
    said = str(caught.value)
    assert said.startswith(
        f"the chat template of {tmp_path} (chat_template.jinja) never ends or grows without"
    )
    assert "\n" not in said and "set 'prompt_format'" in said


def test_a_loop_that_one_row_makes_endless_is_an_error_of_that_row():
    source = "{% for m in messages %}{{ m['content'] }}{% for c in m['content'] %}{% for d in m['content'] %}"
    template = ChatTemplate(source + "{% endfor %}{% endfor %}{% endfor %}")
    assert render_prompt(byte_tokenizer(), template, Conversation(None, ("short",))) == "short"
    with pytest.raises(TemplateProblem, match=r"never ends .* 200,000 steps"):
        render_prompt(byte_tokenizer(), template, Conversation(None, ("long" * 1000,)))


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("", "renders nothing"),
        ("{% for m in messages if m['role'] == 'tool' %}{{ m }}{% endfor %}\n ", "renders nothing"),
        ("{% for m in messages %}\n{{ m['content'] }", "cannot be read: .*line 2"),
        ("{{ raise_exception('only with tools') }}", "refuses the conversation: only with tools"),
        (CHATML + "{{ [1, 2] | random }}", "random numbers"),
        (CHATML + "{{ lipsum() }}", "random numbers"),
        ("{{ messages.tools.first }}", "refuses the conversation: .*has no attribute"),
    ],
)
def test_an_unusable_template_is_named_with_folder_and_file(tmp_path, template, said):
    tokenizer = saved(tmp_path, CHATML)
    tokenizer.chat_template = template
    (tmp_path / "chat_template.jinja").write_text(template)
    with pytest.raises(TemplateProblem, match=said) as caught:
        template_of(tokenizer, "own")
    assert str(caught.value).startswith(f"the chat template of {tmp_path} (chat_template.jinja) ")


def test_the_log_names_which_of_several_templates_is_used(tmp_path, caplog):
    saved(tmp_path, CHATML)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": DATED}))
    template = template_of(AutoTokenizer.from_pretrained(tmp_path), "own")
    assert template.source == CHATML
    assert "(chat_template.jinja) is used; tokenizer_config.json" in caplog.text
    more = tmp_path / "additional_chat_templates"
    more.mkdir()
    (more / "rag.jinja").write_text(DATED)
    assert template_of(AutoTokenizer.from_pretrained(tmp_path), "own").source == CHATML
    assert "'default', one of default, rag" in caplog.text
    (tmp_path / "chat_template.jinja").unlink()
    with pytest.raises(TemplateProblem, match=r"several chat templates \(rag\), but none is named 'default'"):
        template_of(AutoTokenizer.from_pretrained(tmp_path), "own")


def test_a_template_in_tokenizer_config_is_named_with_that_file(tmp_path):
    saved(tmp_path, None)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": "{{ oops( }}"}))
    with pytest.raises(TemplateProblem, match=r"\(tokenizer_config\.json\) cannot be read"):
        template_of(AutoTokenizer.from_pretrained(tmp_path), "own")
