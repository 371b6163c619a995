"""config.json and generation_config.json are checked before memory is allocated."""

import json

import pytest

from preceptor.compute.check import Use, folder_problems
from preceptor.compute.generation import TransformersGenerator
from preceptor.compute.load import ModelError
from tests.conftest import CHATML, save_language_model

LANGUAGE, CLASSIFIER = Use("language model", "own"), Use("classifier", "own")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save_language_model(folder, template=CHATML)
    return folder


@pytest.fixture
def config(model):
    """Change fields of config.json."""
    path = model / "config.json"
    before = path.read_text()
    yield lambda **fields: path.write_text(json.dumps(json.loads(before) | fields))
    path.write_text(before)


ABSURD = {
    "num_hidden_layers": 10**9,
    "hidden_size": 10**12,
    "intermediate_size": 2**62,
    "vocab_size": 10**15,
    "num_attention_heads": 10**10,
    "num_labels": 10**9,
    "max_position_embeddings": 10**15,
    "text_config": {"num_hidden_layers": 10**8},
    "head_dim": 1e300,
}


@pytest.mark.parametrize("field", ABSURD)
def test_sizes_that_do_not_fit_the_weights_are_refused_before_memory_is_allocated(model, config, field):
    config(**{field: ABSURD[field]})
    (problem,) = folder_problems(str(model), "main", CLASSIFIER if field == "num_labels" else LANGUAGE)
    assert str(model / "config.json") in problem and field in problem
    with pytest.raises(ModelError, match="does not belong to these weights"):
        TransformersGenerator(str(model), device="cpu")


ODD = {
    "pad_token_id": (10**6, "'pad_token_id: 1000000', but has 'vocab_size: 264'"),
    "eos_token_id": ("two", "'eos_token_id: 'two'', but a token id is a whole number"),
    "hidden_size": ("wide", "'hidden_size' expected int, got str"),
    "num_attention_heads": (3, "is not a multiple of the number of attention heads"),
    "model_type": ("unheard-of", "model type `unheard-of`"),
}


@pytest.mark.parametrize("field", ODD)
def test_an_invalid_config_is_reported_in_one_sentence(model, config, field):
    value, sentence = ODD[field]
    config(**{field: value})
    (problem,) = (p for p in folder_problems(str(model), "main", LANGUAGE) if "tokenizer" not in p)
    assert str(model) in problem and "\n" not in problem
    with pytest.raises(ModelError, match=sentence):
        TransformersGenerator(str(model), device="cpu")


GENERATION = {
    "a text": ({"eos_token_id": "two"}, "'eos_token_id: 'two''"),
    "texts": ({"eos_token_id": ["a"]}, "'eos_token_id: .*a token id is a whole number or a list of them"),
    "a fraction": ({"eos_token_id": 2.5}, "'eos_token_id: 2.5'"),
    "true": ({"pad_token_id": True}, "'pad_token_id: True'"),
    "an object": ({"bos_token_id": {"id": 1}}, "bos_token_id"),
    "a list": ([1, 2], "must contain a JSON object, not a list"),
    "a number": (7, "must contain a JSON object, not a int"),
    "no JSON": (None, "cannot be read as JSON"),
    "a parameter": ({"watermarking_config": 3}, "cannot be read: "),
}


@pytest.mark.parametrize("fault", GENERATION)
def test_an_invalid_generation_config_is_named_with_folder_and_file(model, fault):
    stated, sentence = GENERATION[fault]
    path = model / "generation_config.json"
    before = path.read_text()
    path.write_text("{" if stated is None else json.dumps(stated))
    try:
        (problem,) = folder_problems(str(model), "main", LANGUAGE)
        assert problem.startswith(str(path)) and "\n" not in problem
        with pytest.raises(ModelError, match=sentence):
            TransformersGenerator(str(model), device="cpu")
    finally:
        path.write_text(before)
