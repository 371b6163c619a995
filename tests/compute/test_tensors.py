"""Incomplete weights are refused by each load and by the check before it, with folder and tensor names."""

import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, MixtralConfig

from preceptor.compute.check import Use, folder_problems
from preceptor.compute.generation import TransformersGenerator
from preceptor.compute.load import ModelError, load_causal_lm, load_classifier
from preceptor.compute.loss import LossScorer
from preceptor.compute.reward import RewardScorer
from preceptor.compute.tensors import meta_model
from preceptor.compute.weights import FolderError
from tests.compute.families import FAMILIES, SIZES, save_family
from tests.conftest import CHATML, save_classifier, save_language_model
from tests.pickles import write_pickle

LANGUAGE, CLASSIFIER = Use("language model", "plain"), Use("classifier", "own")


def rewrite(folder, weights=lambda tensors: tensors, **config) -> str:
    """Change a saved model's tensors, and fields of its config.json."""
    file, path = folder / "model.safetensors", folder / "config.json"
    save_file(weights(load_file(file)), file, {"format": "pt"})
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    return str(folder)


def without(*names):
    return lambda tensors: {name: tensor for name, tensor in tensors.items() if name not in names}


def renamed(old, new):
    return lambda tensors: {re.sub(old, new, name): tensor for name, tensor in tensors.items()}


def added(**shapes):
    extra = {name.replace("__", "."): torch.ones(shape) for name, shape in shapes.items()}
    return lambda tensors: tensors | extra


SPOILED = {
    "its output embedding": (
        without("lm_head.weight"),
        {},
        "lack lm_head.weight, .*tie_word_embeddings: true",
    ),
    "a norm": (without("model.norm.weight"), {}, "lack model.norm.weight, .*random numbers"),
    "compiled": (renamed("^", "_orig_mod."), {}, "lack all 21 tensors: .*'_orig_mod.', which torch.compile"),
    "data parallel": (renamed("^", "module."), {}, "lack all 21 tensors: .*'module.'"),
    "compiled layers": (renamed(r"layers\.0\.", "layers.0._orig_mod."), {}, "contain '_orig_mod.'"),
    "a layer too few": (
        lambda tensors: tensors,
        {"num_hidden_layers": 3},
        r"lack model\.layers\.2\..* and 3 more",
    ),
    "a layer too many": (
        lambda tensors: tensors,
        {"num_hidden_layers": 1},
        r"contain model\.layers\.1\..*ignore",
    ),
    "a bias": (
        added(model__layers__0__mlp__up_proj__bias=(48,)),
        {},
        "contain model.layers.0.mlp.up_proj.bias",
    ),
    "another vocabulary": (
        lambda tensors: tensors,
        {"vocab_size": 300},
        "is 264 × 32 in the file, but 300 × 32 in",
    ),
    "another architecture": (lambda tensors: tensors, {"model_type": "qwen2"}, "lack model.*_proj.bias"),
    "eight bits": (
        lambda tensors: {n: t.to(torch.float8_e4m3fn) for n, t in tensors.items()},
        {},
        "F8_E4M3, but its config.json has no 'quantization_config'",
    ),
    "whole numbers": (
        lambda tensors: {n: (t * 100).to(torch.int8) for n, t in tensors.items()},
        {},
        "I8, but its config.json has no 'quantization_config'",
    ),
    "one of whole numbers": (
        lambda tensors: tensors | {"model.norm.weight": torch.ones(32, dtype=torch.bool)},
        {},
        "model.norm.weight are BOOL, but",
    ),
    "the architecture of a reward model, as a text": (
        added(score__weight=(1, 32)),
        {"architectures": "LlamaForSequenceClassification"},
        "names LlamaForSequenceClassification, and its weights contain score.weight",
    ),
    "an architecture that is none": (without("lm_head.weight"), {"architectures": 5}, "lack lm_head.weight"),
}


@pytest.mark.parametrize("fault", SPOILED)
def test_weights_that_do_not_fit_the_config_are_refused_before_and_at_the_load(tmp_path, fault):
    weights, config, sentence = SPOILED[fault]
    save_language_model(tmp_path)
    folder = rewrite(tmp_path, weights, **config)
    (problem,) = folder_problems(folder, "main", LANGUAGE)
    assert folder in problem and re.search(sentence, problem) and "\n" not in problem
    for load in (TransformersGenerator, LossScorer):
        with pytest.raises(ModelError, match=re.escape(problem)):
            load(folder, prompt_format="plain", device="cpu")


HEADLESS = {
    "its head": (without("score.weight"), {}, "lack score.weight, which LlamaForSequenceClassification"),
    "as many labels": (
        lambda tensors: tensors,
        {"num_labels": 2, "id2label": None},
        "score.weight is 1 × 32",
    ),
    "compiled": (renamed("^", "_orig_mod."), {}, "lack all 21 tensors: .*'_orig_mod.'"),
}


@pytest.mark.parametrize("fault", HEADLESS)
def test_a_reward_model_without_its_head_is_refused(tmp_path, fault):
    weights, config, sentence = HEADLESS[fault]
    save_classifier(tmp_path, template=CHATML)
    folder = rewrite(tmp_path, weights, **config)
    (problem,) = folder_problems(folder, "main", CLASSIFIER)
    assert folder in problem and re.search(sentence, problem)
    with pytest.raises(ModelError, match=re.escape(problem)):
        RewardScorer(folder)


def test_a_language_model_is_refused_as_a_reward_model_and_vice_versa(tmp_path):
    language = save_language_model(tmp_path / "language", template=CHATML)
    (problem,) = folder_problems(language, "main", CLASSIFIER)
    assert "lack score.weight" in problem and "LlamaForCausalLM; a language model cannot" in problem
    with pytest.raises(ModelError, match="cannot be used as a reward model"):
        load_classifier(language, "main", "float32", "cpu")
    save_classifier(tmp_path / "tied", template=CHATML)
    tied = rewrite(tmp_path / "tied", tie_word_embeddings=True)  # then it has a language model's head
    (problem,) = folder_problems(tied, "main", LANGUAGE)
    assert "weights contain score.weight; a reward model cannot" in problem


HARMLESS = {
    "places and masks": lambda tensors: (
        tensors
        | {
            "model.embeddings.position_ids": torch.arange(8),
            "model.layers.0.attn.bias": torch.ones(8, 8).tril().bool(),
        }
    ),
    "frequencies": added(model__layers__0__self_attn__rotary_emb__inv_freq=(8,)),
    "a mask": added(model__layers__0__attn__masked_bias=()),
    "heads of speculative decoding": added(mtp__layers__0__weight=(3, 3)),
}


@pytest.mark.parametrize("extra", HARMLESS)
def test_extra_tensors_of_older_or_larger_checkpoints_are_accepted(tmp_path, extra):
    save_language_model(tmp_path)
    folder = rewrite(tmp_path, HARMLESS[extra])
    assert folder_problems(folder, "main", LANGUAGE) == []
    assert folder_problems(folder, "main", Use("language model", "plain", vllm=True)) == []


def test_an_unused_second_head_is_logged(tmp_path, caplog):
    save_language_model(tmp_path)
    folder = rewrite(tmp_path, added(v_head__summary__weight=(1, 32)))
    assert folder_problems(folder, "main", LANGUAGE) == []
    load_causal_lm(folder, "main", "float32", "cpu")
    assert "LlamaForCausalLM does not use these tensors: v_head.summary.weight" in caplog.text


def test_tied_embeddings_need_no_output_embedding_and_vllm_refuses_a_second_one(tmp_path):
    save_family(tmp_path, "qwen2")
    assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")
    in_vllm = Use("language model", "plain", vllm=True)
    assert folder_problems(str(tmp_path), "main", in_vllm) == []
    rewrite(tmp_path, lambda tensors: tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"] * 1})
    assert folder_problems(str(tmp_path), "main", in_vllm) == []
    rewrite(tmp_path, lambda tensors: tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"] + 1})
    assert folder_problems(str(tmp_path), "main", LANGUAGE) == []  # transformers reads both
    (problem,) = folder_problems(str(tmp_path), "main", in_vllm)
    assert "ties lm_head.weight to model.embed_tokens.weight" in problem


@pytest.mark.parametrize("shard", ["100GB", "20KB"])
@pytest.mark.parametrize("family", ["gemma2", "qwen3", "phi3", "mixtral"])
def test_complete_models_are_accepted_in_one_file_or_several(tmp_path, family, shard):
    torch.manual_seed(0)
    size = {"vocab_size": 264, **SIZES}
    kind, own = FAMILIES.get(family, (MixtralConfig, {"num_local_experts": 4}))
    AutoModelForCausalLM.from_config(kind(**size, **own)).save_pretrained(tmp_path, max_shard_size=shard)
    assert (tmp_path / "model.safetensors.index.json").exists() == (shard == "20KB")
    meta = meta_model(str(tmp_path), "language model")
    assert {parameter.device.type for parameter in meta.parameters()} == {"meta"}
    assert meta_model(str(tmp_path), "language model", vllm=True) is not None


def test_a_tensor_missing_from_its_shard_is_named(tmp_path):
    save_language_model(tmp_path / "whole")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "whole")
    model.save_pretrained(tmp_path / "shards", max_shard_size="20KB")
    shard = next(iter(sorted((tmp_path / "shards").glob("*.safetensors"))))
    tensors = load_file(shard)
    lost = sorted(tensors)[0]
    save_file({"other": torch.ones(1)} | without(lost)(tensors), shard, {"format": "pt"})
    with pytest.raises(FolderError, match=f"lack {re.escape(lost)}"):
        meta_model(str(tmp_path / "shards"), "language model")


def test_an_index_without_metadata_is_refused_before_the_load(tmp_path):
    save_language_model(tmp_path)
    AutoModelForCausalLM.from_pretrained(tmp_path).save_pretrained(tmp_path, max_shard_size="20KB")
    (tmp_path / "model.safetensors").unlink()
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": json.loads(index.read_text())["weight_map"]}))
    (problem,) = folder_problems(str(tmp_path), "main", LANGUAGE)
    assert str(index) in problem and "has no 'metadata'" in problem
    assert folder_problems(str(tmp_path), "main", Use("language model", "plain", vllm=True)) == []
    index.write_text(json.dumps(json.loads(index.read_text()) | {"metadata": {}}))
    assert folder_problems(str(tmp_path), "main", LANGUAGE) == []
    load_causal_lm(str(tmp_path), "main", "float32", "cpu")


def test_quantized_weights_are_checked_for_wrapped_names_before_the_load(tmp_path):
    quantized = {"quantization_config": {"quant_method": "gptq", "bits": 4}}
    save_language_model(tmp_path)
    folder = rewrite(tmp_path, renamed(r"up_proj\.weight", "up_proj.qweight"), **quantized)
    assert meta_model(folder, "language model", vllm=True) is None
    rewrite(tmp_path, renamed("^", "_orig_mod."))
    with pytest.raises(FolderError, match=r"begin with '_orig_mod.'"):
        meta_model(folder, "language model", vllm=True)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub cache with `some/model`, whose files are in the given folder."""
    snapshot = tmp_path / "hub" / "models--some--model" / "snapshots" / ("a" * 40)
    refs = snapshot.parents[1] / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text(snapshot.name)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return snapshot


def test_a_hub_model_is_checked_when_it_is_loaded(hub):
    save_language_model(hub)
    assert load_causal_lm("some/model", "main", "float32", "cpu").config.model_type == "llama"
    rewrite(hub, without("model.norm.weight"))
    with pytest.raises(ModelError, match=r"model 'some/model': its weights lack model.norm.weight"):
        load_causal_lm("some/model", "main", "float32", "cpu")
    with pytest.raises(ModelError, match=r"model 'some/model': its weights lack .*score.weight"):
        load_classifier("some/model", "main", "float32", "cpu")


def test_a_hub_index_that_names_a_pickle_is_refused(hub, tmp_path):
    save_language_model(hub)
    (hub / "model.safetensors").unlink()
    write_pickle(hub / "pytorch_model.bin", tmp_path / "executed")
    index = {"metadata": {}, "weight_map": {"model.norm.weight": "pytorch_model.bin"}}
    (hub / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=r"names 'pytorch_model.bin' for model.norm.weight"):
        load_causal_lm("some/model", "main", "float32", "cpu")
    assert not (tmp_path / "executed").exists()
