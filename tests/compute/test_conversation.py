"""Prompt formats letter for letter, and templates that change what was said."""

import pytest

from preceptor.compute.conversation import (
    TEMPLATES,
    ChatTemplate,
    Conversation,
    TemplateProblem,
    render,
    render_prompt,
    render_text,
)
from tests.conftest import byte_tokenizer

TWO_TURNS = Conversation("Be brief.", ("Q1", "Q2"), ("A1", "A2"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Tülu 1 (arXiv 2306.04751): <|user|>\n{text}\n<|assistant|>\n{text}{eos}\n…
        (
            "tulu",
            "<|bos|><|system|>\nBe brief.\n<|user|>\nQ1\n<|assistant|>\nA1<|eos|>\n"
            "<|user|>\nQ2\n<|assistant|>\nA2<|eos|>",
        ),
        (
            "chatml",
            "<|bos|><|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nQ1<|im_end|>\n"
            "<|im_start|>assistant\nA1<|im_end|>\n<|im_start|>user\nQ2<|im_end|>\n"
            "<|im_start|>assistant\nA2<|im_end|>\n",
        ),
        ("plain", "<|bos|>Be brief.\n\nQ1\n\nA1<|eos|>\n\nQ2\n\nA2<|eos|>"),
    ],
)
def test_named_formats_and_the_spans_of_the_answers(name, expected):
    tokenizer = byte_tokenizer()
    rendered = render(tokenizer, ChatTemplate(TEMPLATES[name]), TWO_TURNS)
    assert rendered.text == expected
    assert [rendered.text[start:end] for start, end in rendered.spans] == ["A1", "A2"]
    prompt = render_prompt(
        tokenizer, ChatTemplate(TEMPLATES[name]), Conversation("Be brief.", ("Q1", "Q2"), ("A1",))
    )
    assert prompt == expected[: rendered.spans[1][0]]


def test_a_template_that_strips_answers_keeps_the_span_on_what_is_left():
    template = ChatTemplate(TEMPLATES["chatml"].replace("{{ m['content'] }}", "{{ m['content'] | trim }}"))
    rendered = render(byte_tokenizer(), template, Conversation(None, ("Q",), ("  padded ",)))
    assert [rendered.text[start:end] for start, end in rendered.spans] == ["padded"]


def test_a_template_that_changes_or_refuses_the_conversation_is_a_problem():
    shouting = ChatTemplate(TEMPLATES["chatml"].replace("{{ m['content'] }}", "{{ m['content'] | upper }}"))
    with pytest.raises(TemplateProblem, match="changes the text of the user's turn"):
        render(byte_tokenizer(), shouting, Conversation(None, ("Q",), ("answer",)))
    picky = ChatTemplate("{{ raise_exception('no system prompt') }}")
    with pytest.raises(TemplateProblem, match="no system prompt"):
        render(byte_tokenizer(), picky, TWO_TURNS)


def test_braces_in_a_response_are_text_not_template():
    conversation = Conversation(None, ("Q",), ("{{ 7 * 7 }}{% raw %}",))
    tulu = ChatTemplate(TEMPLATES["tulu"])
    assert "{{ 7 * 7 }}{% raw %}" in render(byte_tokenizer(), tulu, conversation).text


@pytest.mark.parametrize("blank", [None, "", " ", "\n\t "])
def test_a_blank_system_prompt_is_no_turn(blank):
    told, untold = (Conversation(system, ("Q",), ("A",)) for system in (blank, None))
    assert told.messages(1, 1) == untold.messages(1, 1)
    assert [message["role"] for message in told.messages(1, 0)] == ["user"]


def test_an_answer_whose_place_cannot_be_told_is_named_where_the_place_counts():
    thought = "{% if m['role'] == 'assistant' %}<think>\n\n</think>\n\n{% endif %}{{ m['content'] }}"
    template = ChatTemplate(TEMPLATES["chatml"].replace("{{ m['content'] }}", thought))
    conversation = Conversation(None, ("Q",), ("A",))
    assert render_text(byte_tokenizer(), template, conversation).endswith("</think>\n\nA<|im_end|>\n")
    with pytest.raises(
        TemplateProblem, match=r"adds text of its own before an answer.*'prompt_format' to tulu"
    ):
        render(byte_tokenizer(), template, conversation)
