"""Which token ends a turn, and which rows cannot be learned from."""

import pytest
from transformers import AutoTokenizer

from preceptor.compute.conversation import TEMPLATES, ChatTemplate
from preceptor.tuning.examples import IGNORED, end_of_turn, make_examples
from preceptor.tuning.task import TuningError
from tests.conftest import CHATML, byte_tokenizer
from tests.tuning.samples import MULTI, SINGLE, rows, save_base

LLAMA2 = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ bos_token }}[INST] {{ m['content'] }} [/INST]"
    "{% else %} {{ m['content'] }} {{ eos_token }}{% endif %}{% endfor %}"
)
TEXT_END = LLAMA2.replace("{{ eos_token }}", "END{{ eos_token }}")


def chatml_tokenizer(**settings):
    tokenizer = byte_tokenizer(**settings)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    return tokenizer


def blank_tokenizer():
    tokenizer = byte_tokenizer(template=LLAMA2)
    tokenizer.add_tokens([" "])  # added, but part of every text
    return tokenizer


@pytest.mark.parametrize(
    ("tokenizer", "prompt_format", "token"),
    [
        (byte_tokenizer(), "tulu", "<|eos|>"),
        (byte_tokenizer(bos=False), "plain", "<|eos|>"),
        (chatml_tokenizer(), "chatml", "<|im_end|>"),
        (chatml_tokenizer(eos=False), "chatml", "<|im_end|>"),
        (chatml_tokenizer(template=CHATML), "own", "<|im_end|>"),
        (byte_tokenizer(template=LLAMA2), "own", "<|eos|>"),
        (blank_tokenizer(), "own", "<|eos|>"),
    ],
)
def test_a_format_ends_turns_with_one_special_token(tokenizer, prompt_format, token):
    assert end_of_turn(tokenizer, prompt_format, "base") == tokenizer.convert_tokens_to_ids(token)


@pytest.mark.parametrize(
    ("tokenizer", "prompt_format", "message"),
    [
        (
            byte_tokenizer(),
            "chatml",
            r"'<\|im_end\|>\\n'.*'prompt_format' .*'tulu' or 'plain'",
        ),
        (byte_tokenizer(eos=False), "tulu", r" ''.*add the token"),
        (chatml_tokenizer(eos=False), "plain", r"'prompt_format' .*'chatml'"),
        (byte_tokenizer(template=TEXT_END), "own", r"' END<\|eos\|>'.*'tulu' or 'plain'"),
    ],
)
def test_a_format_that_ends_turns_with_text_is_refused(tokenizer, prompt_format, message):
    with pytest.raises(TuningError, match=rf"bases\.mine\.prompt_format: '{prompt_format}' .*{message}"):
        end_of_turn(tokenizer, prompt_format, "mine")


def test_an_end_token_that_the_tokenizer_takes_for_unknown_is_refused(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"<unk>": 0, "A": 1}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>")
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }} <end> {% endfor %}"
    with pytest.raises(TuningError, match=r"bases\.base\.prompt_format: 'own' .*' <end> '"):
        end_of_turn(tokenizer, "own", "base")


def test_rows_that_cannot_be_learned_from_are_named_with_the_reason(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(save_base(tmp_path))
    conversations = [
        (None, ("fine",), ("good",)),
        (None, ("empty",), ("",)),
        (None, ("quotes it",), ("it ends with <|eos|> you know",)),
        (None, ("one", "two"), ("only one",)),
        (None, ("asks of <|eos|>",), ("a prompt may hold it",)),
    ]
    end = tokenizer.eos_token_id
    examples = make_examples(tokenizer, ChatTemplate(TEMPLATES["tulu"]), rows(conversations), 128, end)
    assert [example.response_id for example in examples.rows] == ["r0", "r4"]
    assert examples.failed == {
        "r1": "the response has no token that can be learned",
        "r2": "the response's text contains '<|eos|>', which ends a turn",
        "r3": "2 user turns, but 1 response turns",
    }
    assert examples.truncated == {}


def test_a_template_that_refuses_a_row_costs_that_row_only(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(save_base(tmp_path))
    template = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    conversations = [("Be brief.", ("q",), ("a",)), (None, ("q",), ("a",))]
    picky = ChatTemplate(template + TEMPLATES["tulu"])
    examples = make_examples(tokenizer, picky, rows(conversations), 128, 263)
    assert [example.response_id for example in examples.rows] == ["r1"]
    assert "no system" in examples.failed["r0"]


def test_a_turn_that_closes_otherwise_than_the_first_is_refused(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(save_base(tmp_path))
    only_last = ChatTemplate(
        "{% for m in messages %}{{ m['content'] }}"
        "{% if loop.last and m['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    )
    two = (None, ("q", "r"), ("a", "b"))
    examples = make_examples(tokenizer, only_last, rows([two]), 128, tokenizer.eos_token_id)
    assert examples.failed == {"r0": "a turn does not end with '<|eos|>'"}


def test_an_answer_that_a_long_prompt_leaves_no_room_for_still_gets_half(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(save_base(tmp_path))
    long = (None, ("x" * 500,), ("y" * 500,))
    (example,) = make_examples(tokenizer, ChatTemplate(TEMPLATES["plain"]), rows([long]), 20, 263).rows
    y = tokenizer.convert_tokens_to_ids("y")
    assert (example.ids[0], example.ids[10:]) == (tokenizer.bos_token_id, [y] * 10)
    assert example.labels == [-100] * 10 + [y] * 10


@pytest.mark.parametrize(("template", "closing"), [(TEMPLATES["tulu"], ""), (LLAMA2, " ")])
def test_of_a_cut_response_the_end_is_not_learned(tmp_path, template, closing):
    tokenizer = AutoTokenizer.from_pretrained(save_base(tmp_path / "base"))
    end = tokenizer.eos_token_id
    whole, cut = (
        make_examples(tokenizer, ChatTemplate(template), rows([SINGLE, MULTI], [reason] * 2), 128, end).rows
        for reason in ("stop", "length")
    )
    for row, short in zip(whole, cut, strict=True):
        learned, left = (tokenizer.decode([i for i in r.labels if i != IGNORED]) for r in (row, short))
        assert row.labels.count(end) in (1, 3) and end not in short.labels
        assert left == learned.replace(f"{closing}<|eos|>", "")
        assert row.ids[: len(short.ids)] == short.ids and short.labels[-1] == short.ids[-1] != end
    unknown = make_examples(tokenizer, ChatTemplate(template), rows([SINGLE, MULTI], [None] * 2), 128, end)
    assert unknown.rows == whole
