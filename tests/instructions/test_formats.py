"""One record of each known format as a conversation, or the reason why it is none."""

import pytest

from preceptor.instructions.formats import Columns, Conversation, RecordError, read_conversation

ANSWER = {"content": "Hello", "token_len": 1}
SHAREGPT = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]
CHAT = [
    {"role": "system", "content": "Be kind"},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "More"},
    {"role": "assistant", "content": "Bye"},
]


def said(*user, answers=(), id=None, system=None) -> Conversation:
    return Conversation(id, system, user, answers)


RECORDS = {
    "plain": ("plain", {"instruction": "Hi", "id": "7"}, said("Hi")),
    "alpaca without input": (
        "alpaca",
        {"instruction": "Hi", "input": "", "output": "Hello"},
        said("Hi", answers=("Hello",)),
    ),
    "alpaca with input": (
        "alpaca",
        {"instruction": "Translate", "input": "Hi", "output": "Salut", "id": 3},
        said("Translate\n\nHi", answers=("Salut",), id="3"),
    ),
    "alpaca whose input alone says something": ("alpaca", {"instruction": " ", "input": "Hi"}, said("Hi")),
    "alpaca with null input": ("alpaca", {"instruction": "Hi", "input": None, "output": None}, said("Hi")),
    "alpaca_eval": (
        "alpaca_eval",
        {"dataset": "koala", "instruction": "Hi", "output": "Hello", "generator": "m"},
        said("Hi", answers=("Hello",)),
    ),
    "fastchat question": ("fastchat", {"question_id": 81, "turns": ["Hi"]}, said("Hi", id="81")),
    "mt-bench question": (
        "fastchat",
        {"question_id": 81, "turns": ["Hi", "More"]},
        said("Hi", "More", id="81"),
    ),
    "arena-hard question": (
        "fastchat",
        {"question_id": "a", "turns": [{"content": "Hi"}]},
        said("Hi", id="a"),
    ),
    "arena-hard 2 question": ("fastchat", {"uid": "a", "prompt": "Hi"}, said("Hi", id="a")),
    "fastchat answer": (
        "fastchat",
        {"question_id": 81, "choices": [{"index": 0, "turns": ["Hello", "Bye"]}]},
        said(answers=("Hello", "Bye"), id="81"),
    ),
    "arena-hard answer": (
        "fastchat",
        {"question_id": "a", "choices": [{"index": 0, "turns": [ANSWER]}]},
        said(answers=("Hello",), id="a"),
    ),
    # arena-hard-auto's gen_answer.py appends what the API function returns: {"answer": text}.
    "arena-hard 2 answer": (
        "fastchat",
        {
            "uid": "a",
            "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": {"answer": "Hello"}},
            ],
        },
        said(answers=("Hello",), id="a"),
    ),
    "arena-hard 2 answer as text": (
        "fastchat",
        {"uid": "a", "messages": CHAT[1:3]},
        said(answers=("Hello",), id="a"),
    ),
    "messages": (
        "messages",
        {"id": "x", "messages": CHAT},
        said("Hi", "More", answers=("Hello", "Bye"), id="x", system="Be kind"),
    ),
    "messages that nobody answered yet": ("messages", {"messages": CHAT[1:2]}, said("Hi")),
    "sharegpt": ("sharegpt", {"id": 1, "conversations": SHAREGPT}, said("Hi", answers=("Hello",), id="1")),
    "an empty answer is an answer": (
        "alpaca_eval",
        {"instruction": "Hi", "output": ""},
        said("Hi", answers=("",)),
    ),
}


@pytest.mark.parametrize(("format", "row", "expected"), RECORDS.values(), ids=RECORDS)
def test_a_record_of_each_format_is_read(format, row, expected):
    assert read_conversation(row, format, Columns()) == expected


def test_plain_columns_may_have_any_name():
    row = {"question": "Hi", "answer": "Hello", "system_prompt": "Be kind", "number": 7}
    found = read_conversation(row, "plain", Columns("question", "answer", "system_prompt", "number"))
    assert found == said("Hi", answers=("Hello",), id="7", system="Be kind")


def test_a_plain_response_needs_no_instruction_beside_it():
    row = {"id": "7", "response": "Hello"}
    found = read_conversation(row, "plain", Columns(response="response", id="id"))
    assert found == said(answers=("Hello",), id="7")


ANSWERED_TWICE = {"messages": [*CHAT[1:3], CHAT[2]]}
BROKEN = {
    "plain: the column is missing": ("plain", {"prompt": "Hi"}, "no column 'instruction' (there are prompt)"),
    "plain: null": ("plain", {"instruction": None}, "column 'instruction' is null"),
    "plain: a number": ("plain", {"instruction": 5}, "column 'instruction' holds a int, not text"),
    "alpaca: no instruction": ("alpaca", {"input": "x"}, "no column 'instruction' (there are input)"),
    "alpaca: a list as input": ("alpaca", {"instruction": "x", "input": ["y"]}, "'input' holds a list"),
    "alpaca_eval: no instruction": ("alpaca_eval", {"output": "x"}, "no column 'instruction'"),
    "fastchat: neither turns nor prompt": ("fastchat", {"instruction": "x"}, "(there are instruction)"),
    "fastchat: no turn": ("fastchat", {"turns": []}, "'turns' holds no turns"),
    "fastchat: turns is text": ("fastchat", {"turns": "Hi"}, "'turns' holds no turns"),
    "fastchat: a null turn": ("fastchat", {"turns": [None]}, "is null"),
    "fastchat: no choice": ("fastchat", {"choices": []}, "'choices' holds no answer"),
    "fastchat: a choice without turns": ("fastchat", {"choices": [{"index": 0}]}, "holds no turns"),
    "messages: none": ("messages", {"messages": []}, "'messages' holds no messages"),
    "messages: no column": ("messages", {"text": "x"}, "'messages' holds no messages"),
    "messages: not objects": ("messages", {"messages": ["Hi"]}, "messages[0] is not an object"),
    "messages: assistant first": ("messages", {"messages": CHAT[2:]}, "turns do not alternate"),
    "messages: two answers in a row": ("messages", ANSWERED_TWICE, "turns do not alternate"),
    "messages: system in the middle": ("messages", {"messages": [CHAT[1], CHAT[0]]}, "(role 'system')"),
    "messages: a tool speaks": (
        "messages",
        {"messages": [CHAT[1], {"role": "tool", "content": "x"}]},
        "'tool'",
    ),
    "messages: no content": ("messages", {"messages": [{"role": "user"}]}, "no column 'content'"),
    "sharegpt: two questions in a row": ("sharegpt", {"conversations": [SHAREGPT[0]] * 2}, "(from 'human')"),
}


@pytest.mark.parametrize(("format", "row", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_record_that_is_no_conversation_says_why(format, row, reason):
    with pytest.raises(RecordError) as error:
        read_conversation(row, format, Columns())
    assert reason in str(error.value)


@pytest.mark.parametrize("format", ["alpaca_eval", "messages", "sharegpt", "fastchat"])
def test_lone_surrogates_become_replacement_characters_in_every_text(format):
    bad, good = "a\ud800", "a\ufffd"
    rows = {
        "alpaca_eval": {"instruction": bad, "output": bad},
        "messages": {"messages": [{"role": "user", "content": bad}, {"role": "assistant", "content": bad}]},
        "sharegpt": {"conversations": [{"from": "human", "value": bad}, {"from": "gpt", "value": bad}]},
        "fastchat": {"question_id": bad, "turns": [bad]},
    }
    found = read_conversation(rows[format], format, Columns())
    assert found.user == (good,)
    assert found.assistant == (() if format == "fastchat" else (good,))
    assert found.id == (good if format == "fastchat" else None)
