"""Prompt formats render exactly, and templates that change a text are refused."""

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


# Llama 2's template: a space before and after the answer, and each turn's text stripped.
LLAMA2 = (
    "{% for m in messages %}{% if m['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + m['content'].strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'].strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)


def shown(how, template=TEMPLATES["chatml"]):
    return template.replace("{{ m['content'] }}", f"{{{{ m['content'] {how} }}}}")


@pytest.mark.parametrize(
    ("template", "answer", "span"),
    [
        (LLAMA2, "said", " said"),
        (LLAMA2, "  said \n", " said"),  # the space after it is the template's
        (LLAMA2, "", ""),
        (LLAMA2.replace("' ' + m['content'].strip()", "' ' + m['content']"), "  said  ", "   said  "),
        (LLAMA2.replace(" + ' ' + eos_token", " + eos_token"), "said", " said"),  # Mistral's
        (LLAMA2.replace("{{ ' ' + m['content']", "{{ m['content']"), "said ", "said"),
        (shown("| trim"), "  padded ", "padded"),
        (shown(".rstrip()"), "  padded ", "  padded"),
        (shown(".lstrip()"), "  padded ", "padded "),
        (shown(".strip('\n')"), "\n padded \n", " padded "),
        (shown("", TEMPLATES["tulu"]), "  padded\n\n", "  padded\n\n"),
    ],
)
def test_answers_are_located_despite_spaces_that_a_template_adds_or_strips(template, answer, span):
    talk = Conversation(None, ("Q", "R"), (answer, "then"))
    rendered = render(byte_tokenizer(), ChatTemplate(template), talk)
    first, then = (rendered.text[start:end] for start, end in rendered.spans)
    assert (first, then.strip()) == (span, "then")
    prompt = render_prompt(byte_tokenizer(), ChatTemplate(template), Conversation(None, ("Q",)))
    assert rendered.text[: rendered.spans[0][0]] == prompt


def test_a_template_that_changes_or_refuses_the_conversation_is_refused():
    shouting = ChatTemplate(shown("| upper"))
    with pytest.raises(TemplateProblem, match="changes the text of the user's turn"):
        render(byte_tokenizer(), shouting, Conversation(None, ("Q",), ("answer",)))
    picky = ChatTemplate("{{ raise_exception('no system prompt') }}")
    with pytest.raises(TemplateProblem, match="no system prompt"):
        render(byte_tokenizer(), picky, TWO_TURNS)


def test_braces_in_a_response_are_text_and_not_template_code():
    conversation = Conversation(None, ("Q",), ("{{ 7 * 7 }}{% raw %}",))
    tulu = ChatTemplate(TEMPLATES["tulu"])
    assert "{{ 7 * 7 }}{% raw %}" in render(byte_tokenizer(), tulu, conversation).text


@pytest.mark.parametrize("blank", [None, "", " ", "\n\t "])
def test_a_blank_system_prompt_is_ignored(blank):
    told, untold = (Conversation(system, ("Q",), ("A",)) for system in (blank, None))
    assert told.messages(1, 1) == untold.messages(1, 1)
    assert [message["role"] for message in told.messages(1, 0)] == ["user"]


def test_an_answer_that_cannot_be_located_is_refused_where_its_location_matters():
    thought = "{% if m['role'] == 'assistant' %}<think>\n\n</think>\n\n{% endif %}{{ m['content'] }}"
    template = ChatTemplate(TEMPLATES["chatml"].replace("{{ m['content'] }}", thought))
    conversation = Conversation(None, ("Q",), ("A",))
    assert render_text(byte_tokenizer(), template, conversation).endswith("</think>\n\nA<|im_end|>\n")
    with pytest.raises(TemplateProblem, match=r"adds text before an answer.*'prompt_format' to tulu"):
        render(byte_tokenizer(), template, conversation)


@pytest.mark.parametrize("header", ["<|im_start|>assistant\n", "ASSISTANT: "])
def test_a_prompt_that_does_not_ask_for_an_answer_is_refused(header):
    deaf = "{% for m in messages %}{% if m['role'] == 'assistant' %}" + header
    deaf += "{% else %}USER: {% endif %}{{ m['content'] }}<|im_end|>{% endfor %}"
    with pytest.raises(TemplateProblem, match=r"ignores 'add_generation_prompt'.*tulu"):
        render_prompt(byte_tokenizer(), ChatTemplate(deaf), Conversation(None, ("Q", "R"), ("A",)))
    asking = deaf + "{% if add_generation_prompt %}" + header + "{% endif %}"
    assert render_prompt(byte_tokenizer(), ChatTemplate(asking), Conversation(None, ("Q",))).endswith(header)
