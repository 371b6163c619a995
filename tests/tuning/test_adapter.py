"""PEFT's settings that would fail, be lost, or merge into something else are refused by field, at once."""

import re
import warnings

import pytest
from transformers import AutoModelForCausalLM, MixtralConfig

from preceptor.tuning.adapter import try_adapter
from preceptor.tuning.model import load_model
from preceptor.tuning.task import Task, TuningError
from tests.conftest import byte_tokenizer, tiny_config
from tests.tuning.samples import EIGHT, study

LORA = {"peft_type": "LORA", "r": 4, "target_modules": ["q_proj", "v_proj"]}
IA3 = {"peft_type": "IA3", "target_modules": ["k_proj", "down_proj"], "feedforward_modules": ["down_proj"]}


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """Two random bases: one with an output layer of its own, one whose output layer is its embeddings."""
    folders = {}
    for tied in (False, True):
        folder = tmp_path_factory.mktemp("tied" if tied else "untied")
        config = tiny_config(len(byte_tokenizer()), 128)
        config.tie_word_embeddings = tied
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
        byte_tokenizer().save_pretrained(folder)
        folders[tied] = str(folder)
    return folders


def refused(folder, peft):
    """What preflight says, and tuning in its place; None where both take it."""
    declared, said = study(folder, peft=peft), []
    for attempt in (
        lambda: try_adapter(declared.bases[0], declared.tunings[0]),
        lambda: load_model(Task.of(declared, "run", EIGHT)),
    ):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # as in training
                attempt()
            said.append(None)
        except TuningError as error:
            said.append(str(error))
    before, later = said
    assert later is None or later == before  # what tuning would refuse is told before the first teacher runs
    return before


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("peft_type", "LORRA", "LORA"),
        ("peft_type", ["LORA"], "LORA"),
        ("peft_type", None, "LORA"),
        ("rank", 4, "LoraConfig has no such setting"),
        ("r", 0, "positive"),
        ("r", "4", "'4'.* integer"),
        ("r", True, "True"),
        ("r", 4.5, "4.5"),
        ("lora_dropout", 1.5, "0 and 1"),
        ("target_modules", ["q_proj", "nowhere"], "base 'base'.*module 'nowhere'"),
        ("target_modules", ".*nowhere", "nowhere"),
        ("target_modules", ["lm_head"], "output layer"),
        ("modules_to_save", ["score"], "base 'base'.*module 'score'"),
        ("rank_pattern", {"nowhere": 2}, "base 'base'.*module 'nowhere'"),
        ("rank_pattern", {"k_proj": 2}, "base 'base'.*'k_proj'.*adapter"),
        ("alpha_pattern", {"v_proj": 2, "layers.0.mlp.up_proj": 2}, "'layers.0.mlp.up_proj'.*adapter"),
        ("rank_pattern", {"q_proj(": 2}, r"'q_proj\('.*missing \)"),
        ("target_modules", "(q_proj", "regular expression"),
        ("exclude_modules", "[", "regular expression"),
        ("rank_pattern", {"q_proj": 0}, " 0 .*at least 1"),
        ("alpha_pattern", {"q_proj": 0.0}, "0.0 .*above 0"),
        ("lora_alpha", 0, "0 .*above 0"),
        ("layers_to_transform", [99], "base 'base'.*layer 99"),
        ("layers_to_transform", [0, 2], "base 'base'.*layer 2"),
        ("layers_to_transform", -1, "base 'base'.*layer -1"),
        ("target_parameters", ["nowhere"], "base 'base'.*parameter 'nowhere'"),
        ("trainable_token_indices", [5, 6], "remove it"),
        ("layer_replication", [[0, 1], [0, 2]], "remove it"),
        ("alora_invocation_tokens", [3], "token.*merged"),
        ("loftq_config", {"loftq_bits": 4}, "quantized.*remove it"),
        ("use_qalora", True, "quantized"),
        ("inference_mode", True, "remove it"),
        ("task_type", "SEQ_CLS", "remove it"),
        ("init_lora_weights", "pissa", "'pissa'.*true, gaussian or orthogonal"),
        ("lora_bias", True, "base 'base'.*merged.*no bias"),
    ],
)
@pytest.mark.parametrize("tied", [False, True])
def test_a_setting_that_cannot_be_used_is_named_by_its_field(bases, tied, field, value, message):
    peft = {**LORA, field: value}
    found = refused(bases[tied], peft)
    assert found is not None
    names = rf"tunings\.settings\.peft(\.(target_modules|{field}))?: .*{message}"
    assert re.match(names, found)


@pytest.mark.parametrize("kind", ["PROMPT_TUNING", "PREFIX_TUNING"])
def test_a_prompt_is_no_adapter_that_can_be_merged(bases, kind):
    found = refused(bases[False], {"peft_type": kind, "num_virtual_tokens": 2})
    assert found is not None and re.match(rf"tunings\.settings\.peft\.peft_type: {kind} .*merged", found)


@pytest.mark.parametrize("kind", ["POLY", "LILY", "SHADOW", "TRAINABLE_TOKENS", "ADALORA", "XLORA"])
def test_a_kind_that_cannot_be_trained_or_merged_is_refused(bases, kind):
    found = refused(bases[True], {"peft_type": kind, "target_modules": ["q_proj"]})
    assert found is not None and found.startswith("tunings.settings.peft")


@pytest.mark.parametrize("field", ["target_modules", "modules_to_save"])
@pytest.mark.parametrize("module", ["embed_tokens", "lm_head"])
def test_tied_embeddings_take_no_adapter_at_either_end(bases, field, module):
    names = [module] if field == "modules_to_save" else ["q_proj", module]
    found = refused(bases[True], {**LORA, field: names})
    assert found is not None
    assert found.startswith(f"tunings.settings.peft.{field}: base 'base' has one matrix")


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"target_modules": "all-linear"},
        {"target_modules": ".*q_proj"},
        {"target_modules": ["q_proj", "embed_tokens"]},
        {"modules_to_save": ["embed_tokens", "lm_head"]},
        {"modules_to_save": ["norm"]},
        {"use_dora": True},
        {"use_rslora": True, "lora_alpha": 0.5},
        {"rank_pattern": {"q_proj": 2}, "lora_dropout": 0.1, "bias": "all"},
        {"rank_pattern": {"layers.0.self_attn.q_proj": 2}, "alpha_pattern": {"^model.layers.1.*v_proj": 9}},
        {"layers_to_transform": [1], "layers_pattern": "layers"},
        {"init_lora_weights": "gaussian"},
        IA3,
    ],
)
def test_what_can_be_merged_is_taken(bases, changed):
    peft = changed if "peft_type" in changed else {**LORA, **changed}
    assert refused(bases[False], peft) is None


def test_a_base_of_experts_which_choose_by_numbers_is_no_reason_to_refuse(tmp_path):
    config = MixtralConfig(
        **{"vocab_size": len(byte_tokenizer()), "hidden_size": 32, "intermediate_size": 64},
        **{
            "num_hidden_layers": 1,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "num_local_experts": 4,
        },
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    assert refused(str(tmp_path), LORA) is None
    experts = LORA | {"target_parameters": ["mlp.experts.down_proj"]}
    assert refused(str(tmp_path), experts | {"rank_pattern": {"experts.down_proj": 2}}) is None
    found = refused(str(tmp_path), experts | {"target_parameters": ["experts.down_proj", "experts.w2"]})
    assert re.match(r"tunings\.settings\.peft\.target_parameters: base 'base'.*'experts\.w2'", str(found))


def test_a_base_on_a_hub_is_left_to_its_step():
    declared = study("some/base", peft=LORA)
    try_adapter(declared.bases[0], declared.tunings[0])
    with pytest.raises(TuningError, match=r"tunings\.settings\.peft\.rank: "):
        declared = study("some/base", peft={**LORA, "rank": 4})
        try_adapter(declared.bases[0], declared.tunings[0])
