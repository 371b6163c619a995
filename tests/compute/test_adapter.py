"""An adapter that does not fit its base is refused by name: vLLM would ignore tensors that match nothing."""

import json
import re

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from preceptor.compute.adapter import refuse_adapter
from preceptor.compute.tensors import meta_model
from preceptor.compute.weights import FolderError


@pytest.fixture(scope="module")
def saved(base_model, tmp_path_factory):
    """A LoRA of the base as peft writes it, and the base on the meta device."""
    folder = tmp_path_factory.mktemp("adapter")
    model = AutoModelForCausalLM.from_pretrained(base_model)
    targets = {"target_modules": ["q_proj", "down_proj", "embed_tokens"], "rank_pattern": {"q_proj": 3}}
    get_peft_model(model, LoraConfig(r=4, task_type="CAUSAL_LM", **targets)).save_pretrained(
        folder, save_embedding_layers=False
    )
    return folder, meta_model(base_model, "language model")


def changed(folder, target, change):
    target.mkdir()
    tensors = change(load_file(folder / "adapter_model.safetensors"))
    save_file(tensors, target / "adapter_model.safetensors", {"format": "pt"})
    (target / "adapter_config.json").write_text((folder / "adapter_config.json").read_text())
    return str(target)


def test_a_matching_adapter_is_accepted(saved):
    folder, meta = saved
    refuse_adapter(str(folder), meta)
    refuse_adapter(str(folder), None)


def replaced(old, new):
    return lambda tensors: {re.sub(old, new, name): tensor for name, tensor in tensors.items()}


def wide(tensors):
    return {n: torch.cat([t, t], 1) if "q_proj.lora_A" in n else t for n, t in tensors.items()}


FAULTS = {
    "compiled": (
        replaced(r"^base_model\.model\.", "base_model.model._orig_mod."),
        r"adapts _orig_mod\..*does not have",
    ),
    "another depth": (
        replaced(r"layers\.1\.", "layers.7."),
        "adapts model.layers.7.*, which the base does not",
    ),
    "another width": (wide, "as 32 × 64, but it is 32 × 32"),
    "half": (
        lambda t: {n: v for n, v in t.items() if "lora_B" not in n},
        "only one of the two LoRA matrices of model",
    ),
    "embeddings": (lambda t: t | {"base_model.model.lm_head.weight": torch.ones(2)}, "not part of a LoRA"),
    "a layer too few": (
        lambda t: {n: v for n, v in t.items() if "layers.1.self_attn" not in n},
        r"lacks model\.layers\.1\.self_attn\.q_proj, which adapter_config.json names in 'target_modules'",
    ),
    "nothing": (lambda t: {}, "no tensor"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_adapter_of_another_model_is_refused_by_name(saved, tmp_path, fault):
    (folder, meta), (change, sentence) = saved, FAULTS[fault]
    adapter = changed(folder, tmp_path / "adapter", change)
    with pytest.raises(FolderError, match=sentence) as refusal:
        refuse_adapter(adapter, meta)
    assert adapter in str(refusal.value)


def test_an_adapter_of_some_layers_is_accepted_if_its_configuration_says_so(saved, tmp_path):
    folder, meta = saved
    adapter = changed(
        folder, tmp_path / "adapter", lambda t: {n: v for n, v in t.items() if "layers.1" not in n}
    )
    config = json.loads((folder / "adapter_config.json").read_text())
    for some in (
        {"layers_to_transform": [0]},
        {"target_modules": r".*layers\.0\.(self_attn\.q|mlp\.down)_proj"},
    ):
        (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(config | some))
        refuse_adapter(adapter, meta)


def test_ranks_must_match_the_configuration(saved, tmp_path):
    folder, meta = saved
    adapter = changed(folder, tmp_path / "adapter", lambda tensors: tensors)
    config = json.loads((folder / "adapter_config.json").read_text()) | {"rank_pattern": {}}
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(FolderError, match=r"q_proj has rank 3, but adapter_config.json says 4"):
        refuse_adapter(adapter, meta)
