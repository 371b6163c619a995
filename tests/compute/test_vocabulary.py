"""Tokens without an embedding, and texts that a tokenizer fails on: one sentence, or an error of the row."""

import json

import pytest
from transformers import AutoTokenizer

from preceptor.compute.check import Use, folder_problems
from preceptor.compute.conversation import Conversation
from preceptor.compute.generation import TransformersGenerator
from preceptor.compute.load import ModelError
from preceptor.compute.loss import LossScorer
from preceptor.compute.request import Decoding, Request
from preceptor.compute.reward import RewardScorer
from preceptor.compute.vocabulary import encode
from tests.conftest import CHATML, save_classifier, save_language_model

ROWS = 264  # embeddings of these models
TURNS = {"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]}
SENTENCE = (
    "the tokenizer has 266 tokens, but the model has 264 embeddings; add embeddings (resize_token_embeddings)"
)
SCORERS = {"base": LossScorer, "teacher": TransformersGenerator, "reward model": RewardScorer}


def save(folder, kind, tokens=TURNS, **settings) -> str:
    """A model whose tokenizer has more tokens than the model has embeddings."""
    make = save_classifier if kind == "reward model" else save_language_model
    make(folder, template=CHATML)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens(tokens)
    tokenizer.save_pretrained(folder)
    return str(folder)


def use(kind, prompt_format):
    return Use("classifier" if kind == "reward model" else "language model", prompt_format)


@pytest.mark.parametrize("prompt_format", ["own", "chatml"])
@pytest.mark.parametrize("kind", SCORERS)
def test_a_format_that_writes_tokens_without_embeddings_is_refused(tmp_path, kind, prompt_format):
    folder = save(tmp_path, kind)
    (problem,) = folder_problems(folder, "main", use(kind, prompt_format))
    assert problem.startswith(SENTENCE) and "<|im_start|>" in problem
    with pytest.raises(ModelError) as refusal:
        SCORERS[kind](folder, prompt_format=prompt_format, device="cpu")
    assert str(refusal.value) == f"model {folder!r}: {problem}"


def test_words_and_a_bos_token_without_embeddings_are_refused(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(save(tmp_path / "words", "base", {}))
    tokenizer.add_tokens(["wordy"])
    tokenizer.save_pretrained(tmp_path / "words")
    (problem,) = folder_problems(str(tmp_path / "words"), "main", use("base", "plain"))
    assert "has 265 tokens" in problem and "(wordy)" in problem
    bos = save(tmp_path / "bos", "base", {"bos_token": "<beginning>"})
    (problem,) = folder_problems(bos, "main", use("base", "chatml"))
    assert "(<beginning>)" in problem


def test_an_unused_special_token_without_embedding_fails_only_rows_that_contain_it(tmp_path):
    # Gemma-3's image token has no embedding in its text model, and no text contains it.
    folder = save(tmp_path, "base")
    assert folder_problems(folder, "main", use("base", "plain")) == []
    scorer = LossScorer(folder, prompt_format="plain", device="cpu")
    said = Conversation(None, ("What is <|im_end|>?",), ("A token.",))
    good, asked, answered = scorer.score(
        [Conversation(None, ("Q",), ("A",)), said, Conversation(None, ("Q",), ("It is <|im_start|>.",))]
    )
    assert good.error is None and good.tokens == 1
    assert "'<|im_end|>', token 265" in asked.error and "264 tokens" in asked.error
    assert "'<|im_start|>', token 264" in answered.error and answered.nll_sum is None


def test_unknown_tokens_in_prompts_and_rewarded_texts_are_errors_of_their_rows(tmp_path):
    teacher = TransformersGenerator(
        save(tmp_path / "teacher", "teacher"), prompt_format="plain", decoding=Decoding(max_new_tokens=3)
    )
    good, bad = teacher.generate([Request(None, ("Hi",), 0), Request(None, ("<|im_end|>",), 0)])
    assert good.error is None and good.response_tokens == 3
    assert "token 265" in bad.error and bad.turns == ()
    scorer = RewardScorer(save(tmp_path / "reward", "reward model"), prompt_format="plain")
    good, bad = scorer.score([Conversation(None, ("Q",), (a,)) for a in ("A", "<|im_end|>")])
    assert good.error is None and bad.reward is None and "token 265" in bad.error


def test_end_tokens_without_embeddings_are_used_neither_as_ends_nor_as_padding(tmp_path):
    folder = save(tmp_path, "teacher", {"eos_token": "<end>"})
    path = tmp_path / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"eos_token_id": [-1, 264, 263]}))
    teacher = TransformersGenerator(folder, prompt_format="chatml", decoding=Decoding(max_new_tokens=4))
    assert teacher.end_tokens == {263}
    assert all(answer.error is None for answer in teacher.generate([Request(None, ("a",) * 2, 0)] * 3))


ENDLESS = r"(?=(a+)+b)"  # backtracks without end on a long run of one letter


@pytest.fixture
def endless(tmp_path):
    """Set the regular expression of a saved tokenizer."""

    def spoil(folder, expression):
        path = folder / "tokenizer.json"
        stated = json.loads(path.read_text())
        split = {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}
        stated["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, stated["pre_tokenizer"]]}
        path.write_text(json.dumps(stated))

    return spoil


@pytest.mark.parametrize("kind", SCORERS)
def test_an_endless_regular_expression_is_named_with_folder_and_file(tmp_path, endless, kind):
    folder = save(tmp_path, kind, {})
    endless(tmp_path, ENDLESS)
    (problem,) = folder_problems(folder, "main", use(kind, "tulu"))
    assert folder in problem and "a regular expression in its tokenizer.json" in problem
    with pytest.raises(ModelError, match=r"tokenizer\.json never ends"):
        SCORERS[kind](folder, prompt_format="tulu", device="cpu")


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_a_tokenizer_with_dropout_is_refused(tmp_path, dropout):
    folder = save(tmp_path, "base", {})
    path = tmp_path / "tokenizer.json"
    stated = json.loads(path.read_text())
    stated["model"]["dropout"] = dropout
    path.write_text(json.dumps(stated))
    problems = folder_problems(folder, "main", use("base", "plain"))
    assert problems == (
        [
            f"{folder}: its tokenizer.json says 'dropout: 0.1', so a text gets different tokens each time;"
            " set it to null (dropout is for training only)"
        ]
        if dropout
        else []
    )


@pytest.mark.parametrize("kind", SCORERS)
def test_a_tokenizer_class_of_another_model_is_reported_in_one_sentence(tmp_path, kind):
    """WordPiece turns an unknown word into [UNK], which this vocabulary lacks."""
    folder = save(tmp_path, kind, {})
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tokenizer_class": "BertTokenizer"}))
    (problem,) = folder_problems(folder, "main", use(kind, "tulu"))
    assert folder in problem and "Missing [UNK] token" in problem and "different models" in problem
    with pytest.raises(ModelError, match="different models"):
        SCORERS[kind](folder, prompt_format="tulu", device="cpu")


def test_a_regular_expression_that_ends_on_most_texts_fails_only_the_other_rows(tmp_path, endless):
    folder = save(tmp_path, "base", {})
    save_classifier(tmp_path / "reward", template=CHATML)
    for place in (tmp_path, tmp_path / "reward"):
        endless(place, ENDLESS.replace("a", "q"))
    rows = [Conversation(None, ("Q",), (a,)) for a in ("fine", "q" * 60, "good")]
    losses = LossScorer(folder, prompt_format="plain", device="cpu").score(rows)
    rewards = RewardScorer(str(tmp_path / "reward"), prompt_format="plain").score(rows)
    teacher = TransformersGenerator(folder, prompt_format="plain", decoding=Decoding(max_new_tokens=2))
    answers = teacher.generate([Request(None, row.assistant, 0) for row in rows])
    for results in (losses, rewards, answers):
        assert [result.error is None for result in results] == [True, False, True]
        assert "tokenizer.json" in results[1].error
    with pytest.raises(ValueError, match="fails on this text"):
        encode(teacher.tokenizer, "q" * 60)


@pytest.mark.parametrize("content", ["[1]", "{", '{"model": {"type": "BPE", "vocab": 3}}'])
def test_an_unreadable_tokenizer_is_reported_in_one_sentence(tmp_path, content):
    folder = save(tmp_path, "base", {})
    (tmp_path / "tokenizer.json").write_text(content)
    (problem,) = folder_problems(folder, "main", use("base", "plain"))
    assert (
        problem.startswith(f"model {folder!r} at revision 'main' cannot be loaded: ") and "\n" not in problem
    )
