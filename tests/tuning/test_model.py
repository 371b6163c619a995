"""What is saved: dtype, end tokens, merged adapters."""

import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from preceptor.tuning.model import load_model, merged, save_model
from preceptor.tuning.task import Task
from tests.conftest import CHATML
from tests.tuning.samples import EIGHT, save_base, study, weights

LORA = {"peft_type": "LORA", "r": 4, "target_modules": "all-linear"}
IDS = torch.arange(40).reshape(2, 20)


def saved(task, folder, disturb=None):
    model, tokenizer = load_model(task), AutoTokenizer.from_pretrained(task.base.model)
    if disturb:
        disturb(model)
    save_model(merged(model, task, folder), tokenizer, task.base, tokenizer.eos_token_id, 128, folder)
    return folder


def task_of(model, base=None, **tuning):
    return Task.of(study(model, base=base, **tuning), "run", EIGHT)


@pytest.mark.parametrize("peft", [None, LORA])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_folder_is_in_the_bases_dtype(tmp_path, dtype, peft):
    folder = saved(task_of(save_base(tmp_path / "base"), {"dtype": dtype}, peft=peft), tmp_path / "out")
    assert {str(tensor.dtype) for tensor in weights(str(folder)).values()} == {f"torch.{dtype}"}
    assert json.loads((folder / "config.json").read_text())["dtype"] == dtype


def test_all_weights_are_tuned_in_float32_and_an_adapters_base_is_not(tmp_path):
    path = save_base(tmp_path / "base")
    whole = load_model(task_of(path, {"dtype": "bfloat16"}))
    assert {weight.dtype for weight in whole.parameters()} == {torch.float32}
    adapted = load_model(task_of(path, {"dtype": "bfloat16"}, peft=LORA))
    tuned = {weight.requires_grad: weight.dtype for weight in adapted.parameters()}
    assert tuned == {True: torch.float32, False: torch.bfloat16}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_merged_weights_compute_what_base_and_adapter_compute(tmp_path, dtype):
    def train_a_bit(model):
        torch.manual_seed(1)
        for weight in model.parameters():
            if weight.requires_grad:
                weight.data.normal_(std=0.2)

    path = save_base(tmp_path / "base")
    folder = saved(task_of(path, {"dtype": dtype}, peft=LORA), tmp_path / "out", train_a_bit)
    base = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, dtype)).float()
    with torch.no_grad():
        untuned = base(IDS).logits
        both = PeftModel.from_pretrained(base, folder / "adapter").float()(IDS).logits
        merged = AutoModelForCausalLM.from_pretrained(folder).float()(IDS).logits
    assert (merged - untuned).abs().max() > 0.05
    # Merged weights are rounded to the base's dtype: 8 bits of mantissa in bfloat16.
    torch.testing.assert_close(merged, both, atol=1e-4 if dtype == "float32" else 2e-2, rtol=0)
    # W + (alpha / r) B A (LoRA, arXiv 2106.09685, eq. 3; alpha is 8 by default), rounded once and no more.
    adapter = load_file(folder / "adapter" / "adapter_model.safetensors")
    for name in ("q_proj", "o_proj"):
        layer = f"model.layers.1.self_attn.{name}"
        a, b = (adapter[f"base_model.model.{layer}.lora_{letter}.weight"] for letter in "AB")
        expected = weights(path)[f"{layer}.weight"].to(getattr(torch, dtype)).float() + 8 / 4 * (b @ a)
        found = weights(str(folder))[f"{layer}.weight"]
        torch.testing.assert_close(
            found, expected.to(found.dtype), rtol=0, atol=0 if dtype == "bfloat16" else 1e-6
        )


def test_an_adapter_begins_with_the_seeds_weights(tmp_path):
    path = save_base(tmp_path / "base")

    def initial(seed):
        model = load_model(Task.of(study(path, seed=seed, peft=LORA), "run", EIGHT))
        return next(weight for name, weight in model.named_parameters() if "lora_A" in name)

    assert torch.equal(initial(3), initial(3))
    assert not torch.equal(initial(3), initial(4))


def test_engines_are_told_where_a_turn_ends(tmp_path):
    path = save_base(tmp_path / "base", "<|im_start|>", "<|im_end|>")
    odd = GenerationConfig(temperature=0.3, do_sample=True, eos_token_id=5)
    odd.save_pretrained(path)
    task = task_of(path, {"prompt_format": "chatml"})
    model, tokenizer = load_model(task), AutoTokenizer.from_pretrained(path)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    save_model(model, tokenizer, task.base, end, 128, tmp_path / "out")
    generation = GenerationConfig.from_pretrained(tmp_path / "out")
    assert generation.eos_token_id == [end, tokenizer.eos_token_id]
    assert (generation.pad_token_id, generation.do_sample, generation.temperature) == (end, None, None)
    tuned = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert (tuned.model_max_length, tuned.eos_token) == (128, "<|eos|>")
    text = tuned.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert text == "<|bos|><|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_an_own_template_stays(tmp_path):
    path = save_base(tmp_path / "base", "<|im_end|>", template=CHATML)
    folder = saved(task_of(path, {"prompt_format": "own"}), tmp_path / "out")
    assert (Path(folder) / "chat_template.jinja").read_text() == CHATML
