"""A key is taken out of JSON too: where a reply's texts, tokens or bytes spell it one after another."""

import json

import pytest

from preceptor.endpoint.hidden import data_without_key
from tests.endpoint.teachers import teacher

KEY = "sk-/Planted+Key_0123456789"
HELD = teacher("http://127.0.0.1:9/v1")


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def tokens(*texts: str) -> list[dict]:
    return [{"token": text, "logprob": -0.5, "bytes": list(text.encode())} for text in texts]


@pytest.mark.parametrize(
    "data",
    [
        {"a": [{"b": f"so {KEY}"}], KEY: 1},
        {"logprobs": {"content": tokens("so ", KEY[:9], KEY[9:], ".")}},
        {
            "logprobs": {
                "content": [{"token": "?", "bytes": list(KEY[n : n + 5].encode())} for n in range(0, 26, 5)]
            }
        },
        {"tokens": ["so", *KEY]},
        {"bytes": list(KEY.encode())},
        {"parts": ["sk-\\u002f", KEY[4:]]},
    ],
)
def test_no_part_of_a_reply_spells_the_key(data):
    kept = json.dumps(data_without_key(data, HELD))
    assert "[key]" in kept or '"bytes": []' in kept
    assert KEY[10:20] not in kept and KEY[10:20] not in "".join(json.loads(kept).get("tokens", []))
    assert str(list(KEY[5:10].encode()))[1:-1] not in kept


def test_what_is_beside_the_key_stays():
    data = {"content": tokens("so ", KEY, "."), "ids": [7, 300], "none": None, "n": [1.5, True], "empty": []}
    kept = data_without_key(data, HELD)
    first, second, third = kept.pop("content")
    assert [first, third] == tokens("so ", ".")
    assert second == {"token": "[key]", "logprob": -0.5, "bytes": []}
    assert kept == {"ids": [7, 300], "none": None, "n": [1.5, True], "empty": []}


def test_a_short_key_is_none(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "EMPTY")
    assert data_without_key({"a": "EMPTY"}, HELD) == {"a": "EMPTY"}
