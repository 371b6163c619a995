"""One record of each known format as a conversation, or the reason why it is none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from preceptor.records.formats import ANSWERED, read_conversation
from preceptor.records.layout import Conversation, RecordError, layout
from preceptor.study.conversations import Columns, Conversations

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
    "plain": ("plain", {"instruction": "Hi", "id": "7"}, said("Hi", id="7")),
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
    "a plain row with an input": (
        "plain",
        {"instruction": "Translate", "input": "Hi", "system": "Be kind"},
        said("Translate\n\nHi", system="Be kind"),
    ),
    "an empty system prompt is none": ("plain", {"instruction": "Hi", "system": " "}, said("Hi")),
    "alpaca with system prompt and history, as LLaMA-Factory has it": (
        "alpaca",
        {
            "instruction": "And in German?",
            "input": "",
            "output": "Guten Morgen",
            "system": "You translate.",
            "history": [["Good morning in French?", "Bonjour"]],
        },
        said(
            "Good morning in French?",
            "And in German?",
            answers=("Bonjour", "Guten Morgen"),
            system="You translate.",
        ),
    ),
    "a history as JSON in a text": (
        "plain",
        {"instruction": "C", "history": '[["A", "B"]]', "response": "D"},
        said("A", "C", answers=("B", "D")),
    ),
    "a history of messages": (
        "plain",
        {"instruction": "C", "history": CHAT[1:3]},
        said("Hi", "C", answers=("Hello",)),
    ),
    "self-instruct": (
        "alpaca",
        {"instruction": "Shorten.", "instances": [{"input": "A long text.", "output": "Text."}]},
        said("Shorten.\n\nA long text.", answers=("Text.",)),
    ),
    "self-instruct without input": (
        "alpaca",
        {"instruction": "Sing.", "instances": [{"input": "", "output": "La"}]},
        said("Sing.", answers=("La",)),
    ),
    "messages as a dict of lists": (
        "messages",
        {"messages": {"role": [m["role"] for m in CHAT], "content": [m["content"] for m in CHAT]}},
        said("Hi", "More", answers=("Hello", "Bye"), system="Be kind"),
    ),
    "messages as JSON in a text": (
        "messages",
        {"messages": json.dumps(CHAT[1:3])},
        said("Hi", answers=("Hello",)),
    ),
    "messages as a dict of lists in a text": (
        "sharegpt",
        {"conversations": json.dumps({"from": ["human"], "value": ["Hi"]})},
        said("Hi"),
    ),
    "OpenAI's content parts": (
        "messages",
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]}
            ]
        },
        said("A\nB"),
    ),
    "a developer's message is a system prompt": (
        "messages",
        {"messages": [{"role": "developer", "content": "Be kind"}, CHAT[1]]},
        said("Hi", system="Be kind"),
    ),
    "turns as plain texts, the last one open": (
        "sharegpt",
        {"conversations": ["Hi", "Hello", "{x}"], "source": "s"},
        said("Hi", "{x}", answers=("Hello",)),
    ),
    "one turn as plain text": ("sharegpt", {"conversations": ["Hi"]}, said("Hi")),
    "messages each as JSON in a text": (
        "messages",
        {"messages": [json.dumps(message) for message in CHAT[1:3]]},
        said("Hi", answers=("Hello",)),
    ),
    "the other format's keys": ("messages", {"messages": SHAREGPT}, said("Hi", answers=("Hello",))),
    "a system prompt beside the turns": (
        "sharegpt",
        {"conversations": SHAREGPT, "system": "Be kind"},
        said("Hi", answers=("Hello",), system="Be kind"),
    ),
    "the same system prompt twice": (
        "messages",
        {"messages": CHAT[:2], "system": "Be kind "},
        said("Hi", system="Be kind"),
    ),
    "a message without calls": ("messages", {"messages": [{**CHAT[1], "tool_calls": []}]}, said("Hi")),
    "an empty answer is an answer": (
        "alpaca_eval",
        {"instruction": "Hi", "output": ""},
        said("Hi", answers=("",)),
    ),
}


@pytest.mark.parametrize(("format", "row", "expected"), RECORDS.values(), ids=RECORDS)
def test_a_record_of_each_format_is_read(format, row, expected):
    assert read_conversation(row, layout(format)) == expected


def test_plain_columns_may_have_any_name():
    row = {"question": "Hi", "answer": "Hello", "system_prompt": "Be kind", "number": 7}
    columns = Columns(instruction="question", response="answer", system="system_prompt", id="number")
    found = read_conversation(row, layout("plain", columns))
    assert found == said("Hi", answers=("Hello",), id="7", system="Be kind")


@pytest.mark.parametrize(
    ("format", "columns", "row"),
    [
        ("plain", {"input": "context"}, {"instruction": "Sum up.", "context": "A text.", "response": "T"}),
        (
            "alpaca",
            {"input": "context", "response": "answer"},
            {"instruction": "Sum up.", "context": "A text.", "answer": "T"},
        ),
        (
            "alpaca_eval",
            {"input": "context"},
            {"instruction": "Sum up.", "context": "A text.", "output": "T"},
        ),
    ],
)
def test_columns_names_input_and_response_in_every_format_of_rows(format, columns, row):
    found = read_conversation(row, layout(format, Columns(**columns)))
    assert found == said("Sum up.\n\nA text.", answers=("T",))


def test_a_setting_that_a_format_could_not_follow_is_refused():
    for format, role in (("fastchat", "response"), ("messages", "input"), ("plain", "messages")):
        with pytest.raises(
            ValidationError, match=rf"format '{format}' has no column for '{role}': 'columns' takes"
        ):
            Conversations(dataset="x", format=format, columns={role: "other"})


def test_a_column_with_another_role_or_that_is_ignored_is_not_read_by_its_name():
    row = {"input": "Hi", "instruction": "A translator's job.", "system": "Be kind", "response": "Ho"}
    columns = Columns(instruction="input", system="instruction")
    found = read_conversation(row, layout("plain", columns))
    assert found == said("Hi", answers=("Ho",), system="A translator's job.")
    found = read_conversation(row, layout("plain", ignore=["input", "system"]))
    assert found == said("A translator's job.", answers=("Ho",))


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=3), st.text())
def test_one_conversation_is_the_same_in_every_shape_of_messages(turns, system):
    pairs = [
        ("system", system),
        *(m for asked, answered in turns for m in (("user", asked), ("assistant", answered))),
    ]
    messages = [{"role": role, "content": text} for role, text in pairs]
    lists = {"role": [role for role, _ in pairs], "content": [text for _, text in pairs]}
    parts = [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in pairs]
    shapes = [messages, lists, parts, json.dumps(messages), json.dumps(lists), json.dumps(parts)]
    found = {read_conversation({"messages": shape}, layout("messages")) for shape in shapes}
    expected = said(
        *(asked for asked, _ in turns),
        answers=tuple(answered for _, answered in turns),
        system=system if system.strip() else None,
    )
    assert found == {expected}


def test_columns_names_messages_and_system_prompt_of_a_chat():
    row = {"dialogue": CHAT[1:3], "persona": "Be kind", "id": "unused", "number": 7}
    columns = Columns(messages="dialogue", system="persona", id="number")
    found = read_conversation(row, layout("messages", columns))
    assert found == said("Hi", answers=("Hello",), system="Be kind", id="7")


@pytest.mark.parametrize("blank", [None, "", "  ", "\n"])
def test_a_blank_system_prompt_is_none_in_every_format(blank):
    turns = {
        "messages": {"messages": [{"role": "system", "content": blank}, CHAT[1]]},
        "sharegpt": {"conversations": [{"from": "system", "value": blank}, SHAREGPT[0]]},
        "plain": {"instruction": "Hi", "told": blank},
    }
    for format, row in turns.items():
        columns = Columns(system="told") if format == "plain" else Columns()
        assert read_conversation(row, layout(format, columns)) == said("Hi")


def test_the_first_message_of_a_flat_tree_and_a_role_that_is_ignored_are_read():
    row = {"instruction": "Hi", "role": "prompter", "parent_id": None}
    assert read_conversation(row, layout("plain")) == said("Hi")
    played = {"instruction": "Hi", "role": "assistant"}
    assert read_conversation(played, layout("plain", ignore=["role"])) == said("Hi")


def test_a_plain_response_needs_no_instruction_beside_it():
    row = {"id": "7", "response": "Hello"}
    found = read_conversation(row, layout("plain"), ANSWERED)
    assert found == said(answers=("Hello",), id="7")


ANSWERED_TWICE = {"messages": [*CHAT[1:3], CHAT[2]]}
BROKEN = {
    "plain: the column is missing": ("plain", {"prompt": "Hi"}, "no column 'instruction' (there are prompt)"),
    "plain: another name": ("plain", {"No": 1, "Question": "x"}, "write 'columns: {instruction: Question}'"),
    "plain: the likeliest of two": (
        "plain",
        {"text": "x", "Prompt": "y"},
        "'columns: {instruction: Prompt}'",
    ),
    "plain: a name with a blank behind it": ("plain", {"Question ": "x"}, '{instruction: "Question "}'),
    "plain: no header": ("plain", {"How do I reset my router?": "x"}, "add a header line"),
    "messages: rows": ("messages", {"prompt": "x", "completion": "y"}, "response: completion}'"),
    "plain: null": ("plain", {"instruction": None}, "column 'instruction' is null"),
    "plain: a number": ("plain", {"instruction": 5}, "column 'instruction' contains a int, not text"),
    "alpaca: no instruction": ("alpaca", {"input": "x"}, "no column 'instruction' (there are input)"),
    "alpaca: a list as input": ("alpaca", {"instruction": "x", "input": ["y"]}, "'input' contains a list"),
    "alpaca_eval: no instruction": ("alpaca_eval", {"output": "x"}, "no column 'instruction'"),
    "fastchat: neither turns nor prompt": ("fastchat", {"instruction": "x"}, "(there are instruction)"),
    "fastchat: a prompt that is null": ("fastchat", {"prompt": None}, "'prompt' contains no turns"),
    "fastchat: no turn": ("fastchat", {"turns": []}, "'turns' contains no turns"),
    "fastchat: turns is text": ("fastchat", {"turns": "Hi"}, "'turns' contains no turns"),
    "fastchat: a null turn": ("fastchat", {"turns": [None]}, "is null"),
    "fastchat: no choice": ("fastchat", {"choices": []}, "'choices' contains no answer"),
    "fastchat: a choice without turns": ("fastchat", {"choices": [{"index": 0}]}, "contains no turns"),
    "messages: none": ("messages", {"messages": []}, "'messages' contains no messages"),
    "messages: null": ("messages", {"messages": None}, "'messages' contains no messages"),
    "messages: no column": ("messages", {"text": "x"}, "name the right one as in 'columns: {messages: …}'"),
    "messages: another format's": (
        "alpaca",
        {"conversations": [], "id": 1},
        "set 'format: sharegpt', which reads 'conversations', or name",
    ),
    "messages: not all of one kind": ("messages", {"messages": ["Hi", 5]}, "messages[0] is not an object"),
    "messages: assistant first": ("messages", {"messages": CHAT[2:]}, "turns do not alternate"),
    "messages: two answers in a row": ("messages", ANSWERED_TWICE, "turns do not alternate"),
    "messages: system in the middle": ("messages", {"messages": [CHAT[1], CHAT[0]]}, "(role 'system')"),
    "messages: a tool speaks": (
        "messages",
        {"messages": [CHAT[1], {"role": "tool", "content": "x"}]},
        "messages[1] is a tool call or result (role 'tool')",
    ),
    "messages: a tool is called": (
        "messages",
        {"messages": [CHAT[1], {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}]},
        "messages[1] is a tool call or result",
    ),
    "messages: a picture": (
        "messages",
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
        "messages[0].content[0] is 'image_url'",
    ),
    "messages: text that is no JSON": (
        "messages",
        {"messages": "[{'role'"},
        "'messages' contains text that is not JSON",
    ),
    "messages: lists of different lengths": (
        "messages",
        {"messages": {"role": ["user"], "content": []}},
        "'messages' contains an object that is not a list of messages",
    ),
    "messages: another system prompt beside them": (
        "messages",
        {"messages": CHAT[:2], "system": "Be rude"},
        "has two different system prompts",
    ),
    "alpaca: several instances": (
        "alpaca",
        {"instruction": "x", "instances": [{"input": "a"}, {"input": "b"}]},
        "'instances' contains several inputs",
    ),
    "alpaca: a history that is none": (
        "alpaca",
        {"instruction": "x", "history": [["a"]]},
        "history[0] is not an object",
    ),
    "plain: a history without its last answer": (
        "plain",
        {"instruction": "x", "history": CHAT[1:2]},
        "column 'history' is not a list of pairs",
    ),
    "plain: NaN": ("plain", {"instruction": float("nan")}, "column 'instruction' contains NaN, not text"),
    "plain: a number as input": (
        "plain",
        {"instruction": "x", "input": 5},
        "column 'input' contains a int, not text",
    ),
    "plain: an answer of a flat tree of messages": (
        "plain",
        {"instruction": "Hello.", "role": "assistant", "parent_id": "a"},
        "is a message of the assistant, not a question",
    ),
    "plain: a later question of one": (
        "plain",
        {"instruction": "And now?", "role": "prompter", "parent_id": "b"},
        "is a later turn of a conversation; write each conversation as one row of messages",
    ),
    "plain: turns": (
        "plain",
        {"instruction": ["Hi", "Ho"]},
        "set 'format: messages' and 'columns: {messages: instruction}'",
    ),
    "messages: no content": ("messages", {"messages": [{"role": "user"}]}, "no key 'content'"),
    "sharegpt: two questions in a row": ("sharegpt", {"conversations": [SHAREGPT[0]] * 2}, "(from 'human')"),
}


@pytest.mark.parametrize(("format", "row", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_record_that_is_no_conversation_says_why(format, row, reason):
    with pytest.raises(RecordError) as error:
        read_conversation(row, layout(format))
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
    found = read_conversation(rows[format], layout(format))
    assert found.user == (good,)
    assert found.assistant == (() if format == "fastchat" else (good,))
    assert found.id == (good if format == "fastchat" else None)
