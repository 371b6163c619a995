"""Tokens without an embedding, and texts that a tokenizer gives up on: a sentence, or a row's error."""

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
    "the tokenizer has 266 tokens, the model's embeddings 264; add rows to them (resize_token_embeddings)"
)
SCORERS = {"base": LossScorer, "teacher": TransformersGenerator, "reward model": RewardScorer}


def save(folder, kind, tokens=TURNS, **settings) -> str:
    """A model whose tokenizer got more tokens than its embeddings have rows."""
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


def test_so_are_words_and_a_beginning_without_embeddings(tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(save(tmp_path / "words", "base", {}))
    tokenizer.add_tokens(["wordy"])
    tokenizer.save_pretrained(tmp_path / "words")
    (problem,) = folder_problems(str(tmp_path / "words"), "main", use("base", "plain"))
    assert "has 265 tokens" in problem and "(wordy)" in problem
    bos = save(tmp_path / "bos", "base", {"bos_token": "<beginning>"})
    (problem,) = folder_problems(bos, "main", use("base", "chatml"))
    assert "(<beginning>)" in problem


def test_special_tokens_that_nothing_writes_cost_only_the_rows_that_spell_them(tmp_path):
    # Gemma-3's image token has no embedding in its text model, and nobody writes it.
    folder = save(tmp_path, "base")
    assert folder_problems(folder, "main", use("base", "plain")) == []
    scorer = LossScorer(folder, prompt_format="plain", device="cpu")
    said = Conversation(None, ("What is <|im_end|>?",), ("A token.",))
    good, asked, answered = scorer.score(
        [Conversation(None, ("Q",), ("A",)), said, Conversation(None, ("Q",), ("It is <|im_start|>.",))]
    )
    assert good.error is None and good.tokens == 1
    assert (
        asked.error == "the text holds '<|im_end|>', token 265, but the model has embeddings for 264 tokens"
    )
    assert "'<|im_start|>', token 264" in answered.error and answered.nll_sum is None


def test_a_teachers_prompt_and_a_rewards_text_are_rows_errors_too(tmp_path):
    teacher = TransformersGenerator(
        save(tmp_path / "teacher", "teacher"), prompt_format="plain", decoding=Decoding(max_new_tokens=3)
    )
    good, bad = teacher.generate([Request(None, ("Hi",), 0), Request(None, ("<|im_end|>",), 0)])
    assert good.error is None and good.response_tokens == 3
    assert "token 265" in bad.error and bad.turns == ()
    scorer = RewardScorer(save(tmp_path / "reward", "reward model"), prompt_format="plain")
    good, bad = scorer.score([Conversation(None, ("Q",), (a,)) for a in ("A", "<|im_end|>")])
    assert good.error is None and bad.reward is None and "token 265" in bad.error


def test_end_tokens_without_embeddings_are_neither_waited_for_nor_padded_with(tmp_path):
    folder = save(tmp_path, "teacher", {"eos_token": "<end>"})
    path = tmp_path / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"eos_token_id": [-1, 264, 263]}))
    teacher = TransformersGenerator(folder, prompt_format="chatml", decoding=Decoding(max_new_tokens=4))
    assert teacher.end_tokens == {263}
    assert all(answer.error is None for answer in teacher.generate([Request(None, ("a",) * 2, 0)] * 3))


ENDLESS = r"(?=(a+)+b)"  # tries for ever on a long run of one letter


@pytest.fixture
def endless(tmp_path):
    """Give a saved tokenizer a regular expression."""

    def spoil(folder, expression):
        path = folder / "tokenizer.json"
        stated = json.loads(path.read_text())
        split = {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}
        stated["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, stated["pre_tokenizer"]]}
        path.write_text(json.dumps(stated))

    return spoil


@pytest.mark.parametrize("kind", SCORERS)
def test_a_regular_expression_that_never_ends_is_told_by_folder_and_file(tmp_path, endless, kind):
    folder = save(tmp_path, kind, {})
    endless(tmp_path, ENDLESS)
    (problem,) = folder_problems(folder, "main", use(kind, "tulu"))
    assert folder in problem and "a regular expression in its tokenizer.json does not end" in problem
    with pytest.raises(ModelError, match="does not end"):
        SCORERS[kind](folder, prompt_format="tulu", device="cpu")


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_a_tokenizer_that_draws_at_random_is_refused(tmp_path, dropout):
    folder = save(tmp_path, "base", {})
    path = tmp_path / "tokenizer.json"
    stated = json.loads(path.read_text())
    stated["model"]["dropout"] = dropout
    path.write_text(json.dumps(stated))
    problems = folder_problems(folder, "main", use("base", "plain"))
    assert problems == (
        [
            f"{folder}: its tokenizer.json says 'dropout: 0.1', by which a text has other tokens each time:"
            " set it to null, as it is for all but training"
        ]
        if dropout
        else []
    )


@pytest.mark.parametrize("kind", SCORERS)
def test_a_tokenizer_class_of_another_model_is_one_sentence_not_a_bare_exception_of_rust(tmp_path, kind):
    """A word of which WordPiece knows no part is [UNK], which this vocabulary lacks."""
    folder = save(tmp_path, kind, {})
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tokenizer_class": "BertTokenizer"}))
    (problem,) = folder_problems(folder, "main", use(kind, "tulu"))
    assert folder in problem and "Missing [UNK] token" in problem and "may not be of one model" in problem
    with pytest.raises(ModelError, match="may not be of one model"):
        SCORERS[kind](folder, prompt_format="tulu", device="cpu")


def test_one_that_ends_on_most_texts_costs_the_others_only(tmp_path, endless):
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
    with pytest.raises(ValueError, match="gives up on this text"):
        encode(teacher.tokenizer, "q" * 60)


@pytest.mark.parametrize("content", ["[1]", "{", '{"model": {"type": "BPE", "vocab": 3}}'])
def test_a_tokenizer_that_cannot_be_read_is_a_sentence(tmp_path, content):
    folder = save(tmp_path, "base", {})
    (tmp_path / "tokenizer.json").write_text(content)
    (problem,) = folder_problems(folder, "main", use("base", "plain"))
    assert (
        problem.startswith(f"model {folder!r} at revision 'main' cannot be loaded: ") and "\n" not in problem
    )
