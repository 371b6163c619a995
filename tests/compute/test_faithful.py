"""A template that loses or changes text is refused. One that only moves or trims text is accepted."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from preceptor.compute.conversation import (
    TEMPLATES,
    ChatTemplate,
    Conversation,
    TemplateProblem,
    render,
    render_prompt,
    render_text,
)
from tests.conftest import CHATML, byte_tokenizer

trl = pytest.importorskip("trl")
TOKENIZER = byte_tokenizer()
LOOP, CONTENT = "{% for m in messages %}", "{{ m['content'] }}"
TALK = Conversation("Be brief.", ("One?", "Two?"), ("Said one.", "Said <b>two</b>."))
ASKED = Conversation(TALK.system, TALK.user, TALK.assistant[:1])


def kept(which: str) -> str:
    return CHATML.replace(LOOP, f"{{% for m in messages {which} %}}")


def shown(how: str) -> str:
    return CHATML.replace(CONTENT, f"{{{{ m['content'] {how} }}}}")


LOSING = {
    "no system prompt": (kept("if m['role'] != 'system'"), "leaves out the system prompt"),
    "no answers": (kept("if m['role'] != 'assistant'"), "leaves out the assistant's turn"),
    "the last question alone": (kept("[:1] + messages[-1:]"), "leaves out the user's turn 1 of 2"),
    "backwards": (kept("| reverse"), "changes the order of"),
    "shouting": (shown("| upper"), "changes the text of the system prompt"),
    "one line": (shown("| replace('\\n', ' ')"), "changes the text of the user's turn 1 of 2"),
    "escaped": (shown("| e"), "changes the text of the user's turn 2 of 2"),
    "cut": (shown("[:40]"), "changes the text of the user's turn 2 of 2"),
}


@pytest.mark.parametrize(("template", "said"), LOSING.values(), ids=LOSING)
def test_the_message_names_what_a_template_loses(template, said):
    talk = Conversation("Be brief.", ("One?\n1\n2", "Is 1 < 2 & 3 > 2? " * 4), ("It is.", "Yes."))
    asked = Conversation(talk.system, talk.user, talk.assistant[:1])
    for rendering, conversation in ((render_prompt, asked), (render_text, talk)):
        with pytest.raises(TemplateProblem, match=said) as caught:
            rendering(TOKENIZER, ChatTemplate(template), conversation)
        assert "set 'prompt_format' to tulu, chatml or plain" in str(caught.value)


def test_a_short_text_that_appears_by_accident_does_not_hide_a_loss():
    deaf = ChatTemplate(LOSING["no system prompt"][0])
    with pytest.raises(TemplateProblem, match="leaves out the system prompt"):
        render_prompt(TOKENIZER, deaf, Conversation("One", ("One?",)))
    assert "One?" in render_prompt(TOKENIZER, deaf, Conversation(None, ("One?",)))


KEEPING = {
    "as it is": CHATML,
    "trimmed": shown("| trim"),
    "the system prompt in the first question": (
        "{% set told = messages[0]['content'] if messages[0]['role'] == 'system' else '' %}"
        "{% for m in messages if m['role'] != 'system' %}"
        "<{{ m['role'] }}>{% if loop.first %}{{ told }}\n\n{% endif %}{{ m['content'] }}{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    ),
    "the system prompt in the last question": (
        "{% set told = messages[0]['content'] if messages[0]['role'] == 'system' else '' %}"
        "{% set last = (messages | selectattr('role', 'equalto', 'user') | list)[-1] %}"
        "{% for m in messages if m['role'] != 'system' %}"
        "<{{ m['role'] }}>{% if m == last %}{{ told }}\n\n{% endif %}{{ m['content'] }}{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    ),
    "a system prompt of its own": "You are kind.\n" + CHATML,
}


@pytest.mark.parametrize("template", KEEPING.values(), ids=KEEPING)
@pytest.mark.parametrize("blank", ["", " \n"])
def test_a_template_that_only_moves_or_trims_text_is_accepted(template, blank):
    talk = Conversation(
        f"{blank}Be brief.{blank}", tuple(f"{blank}{turn}" for turn in TALK.user), TALK.assistant
    )
    assert "Be brief." in render_text(TOKENIZER, ChatTemplate(template), talk)
    asked = Conversation(talk.system, talk.user, talk.assistant[:1])
    assert "Said one." in render_prompt(TOKENIZER, ChatTemplate(template), asked)


def test_thoughts_may_be_dropped_from_earlier_answers_but_not_from_scored_ones(caplog):
    forgets = shown(".split('</think>')[-1].strip()")
    answers = ("<think>\nhow?\n</think>\n\nSo.", "<think>\nwhy?\n</think>\n\nThus.")
    talk = Conversation(None, TALK.user, answers)
    asked = Conversation(None, TALK.user, answers[:1])
    assert "how?" not in render_prompt(TOKENIZER, ChatTemplate(forgets), asked)
    assert "leaves thoughts (<think>) out of earlier answers" in caplog.text
    with pytest.raises(
        TemplateProblem, match=r"leaves the thought \(<think>\) out of the assistant's turn 1 of 2"
    ):
        render_text(TOKENIZER, ChatTemplate(forgets), talk)
    spaced = shown("| replace('\\n</think>\\n\\n', '</think>')")
    assert "why?</think>Thus." in render_text(TOKENIZER, ChatTemplate(spaced), talk)


THEIRS = Path(trl.__file__).parent / "chat_templates"
THOUGHT = "<think>\nHow?\n</think>\n\nSo."


@pytest.mark.parametrize("name", ["qwen3", "deepseek_r1_distill"])
def test_real_templates_render_correctly_or_are_refused_by_name(name):
    """Prompts for teachers and students, texts for reward models and judges, texts for scoring bases."""
    template = ChatTemplate((THEIRS / f"{name}.jinja").read_text(), f"the chat template of {name}")
    qwen = name == "qwen3"
    asked = Conversation(None, ("One?", "Two?"), (THOUGHT,))
    prompt = render_prompt(TOKENIZER, template, asked)
    assert "How?" not in prompt and "So." in prompt  # as their authors intend
    assert prompt.endswith("<|im_start|>assistant\n" if qwen else "<｜Assistant｜><think>\n")
    plain, thought = (Conversation(None, ("One?",), (said,)) for said in ("So.", THOUGHT))
    assert "So." in render_text(TOKENIZER, template, plain)
    with pytest.raises(TemplateProblem, match=rf"of {name} adds text before .*to tulu, chatml or plain"):
        render(TOKENIZER, template, plain)
    if qwen:
        rendered = render(TOKENIZER, template, thought)
        assert [rendered.text[start:end] for start, end in rendered.spans] == [THOUGHT]
        assert render_text(TOKENIZER, template, plain).endswith("<think>\n\n</think>\n\nSo.<|im_end|>\n")
    else:
        for attempt in (render_text, render):
            with pytest.raises(
                TemplateProblem,
                match=r"leaves the thought \(<think>\) out .*turn; fix it, or set 'prompt_format'",
            ):
                attempt(TOKENIZER, template, thought)
    both = Conversation(None, ("One?", "Two?"), (THOUGHT, THOUGHT))
    for attempt in (render_text, render):
        with pytest.raises(
            TemplateProblem, match=r"leaves the thought \(<think>\) out of the assistant's turn 1 of 2"
        ):
            attempt(TOKENIZER, template, both)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(
    st.none() | TEXT,
    st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=3),
    st.sampled_from(sorted(TEMPLATES)),
)
def test_a_named_format_loses_nothing(system, turns, name):
    user, assistant = zip(*turns, strict=True)
    template = ChatTemplate(TEMPLATES[name])
    text = render_text(TOKENIZER, template, Conversation(system, user, assistant))
    assert all(said in text for said in (*user, *assistant))
    render_prompt(TOKENIZER, template, Conversation(system, user, assistant[:-1]))
