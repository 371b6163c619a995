"""Settings, adapters and stop texts reach vLLM, and impossible settings are refused."""

import json
import shutil
from contextlib import closing
from dataclasses import replace

import pytest

pytest.importorskip("vllm")

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from preceptor.compute.generation import TransformersGenerator
from preceptor.compute.load import ModelError
from preceptor.compute.request import NOT_FINITE, Decoding, Generation, Request
from preceptor.engines.engine_process import ENVIRONMENT, EngineError
from preceptor.engines.messages import Ask, Settings
from tests.engines.teachers import LARGE, POISON, SMALL, poisoned, requests, stream, vllm

pytestmark = pytest.mark.slow
STOPPED = Decoding(max_new_tokens=30, stop=("e", "lamp"))
SETTINGS = Settings(SMALL, "main", "bfloat16", "own", 128, "fp8", None, 4, Decoding(), 0.7, False, True)


@pytest.fixture(autouse=True)
def small_cache(monkeypatch):
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")


def write_adapter(folder, **settings) -> str:
    """A random LoRA adapter that changes the small teacher's answers."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(SMALL, dtype=torch.float32)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"], **settings)
    adapted = get_peft_model(model, config)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, 0.2)
    adapted.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """An engine in this process, and its settings. Its teacher's embedding of POISON is NaN."""
    from preceptor.engines.vllm_engine import VllmEngine

    settings = replace(
        SETTINGS,
        model=poisoned(tmp_path_factory.mktemp("teacher") / "poisoned"),
        decoding=Decoding(temperature=1.2, max_new_tokens=5),
        dtype="float32",
        quantization=None,
        tensor_parallel_size=1,
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**ENVIRONMENT, "VLLM_CPU_KVCACHE_SPACE": "1"}.items():
            patch.setenv(name, value)
        engine = VllmEngine(settings)
        yield engine, settings
        engine.close()


def test_the_engine_has_vllms_batch_sizes_for_offline_use(started):
    # Without a usage context vLLM uses smaller batches: 128 rows, on any device.
    from vllm.engine.arg_utils import EngineArgs
    from vllm.usage.usage_lib import UsageContext

    from preceptor.engines.vllm_engine import engine_arguments

    engine, settings = started
    scheduler = engine.engine.vllm_config.scheduler_config
    offline, unnamed = (
        EngineArgs(**engine_arguments(settings, engine.context)).create_engine_config(use).scheduler_config
        for use in (UsageContext.LLM_CLASS, UsageContext.ENGINE_CONTEXT)
    )
    assert scheduler.max_num_seqs == offline.max_num_seqs > unnamed.max_num_seqs
    assert scheduler.max_num_batched_tokens == offline.max_num_batched_tokens


def answered(engine, *asks) -> dict[int, Generation]:
    """The answer of every row."""
    found = dict(row for ask in asks for row in engine.ask(ask))
    while engine.busy():
        found |= dict(engine.step())
    return found


def test_rows_with_non_finite_logits_are_errors(started):
    engine, _ = started
    good = answered(engine, Ask((0, 1, 2), Request(None, ("Say hello.",), 5)))
    assert [good[n].error for n in range(3)] == [None] * 3 and all(good[n].turns for n in range(3))
    # These come last: on a CPU, vLLM's cache keeps the NaN, which then also reach later rows.
    asks = Ask((3, 4), Request(None, (f"What is {POISON}?",), 7)), Ask((5,), Request(None, ("Hi", POISON), 9))
    bad = answered(engine, *asks, Ask((6,), Request(None, (POISON,), 9)))
    assert {(n, answer.turns, answer.error) for n, answer in bad.items()} == {
        (n, (), NOT_FINITE) for n in (3, 4, 5, 6)
    }


def test_an_adapter_and_stop_texts_work_as_in_transformers(tmp_path):
    adapter = write_adapter(tmp_path / "adapter")
    plain = TransformersGenerator(SMALL, decoding=STOPPED)
    expected_plain = stream(plain, requests(150))
    plain.model = PeftModel.from_pretrained(plain.model, adapter).merge_and_unload().eval()
    expected = stream(plain, requests(150))
    with closing(vllm(SMALL, STOPPED, adapter=adapter)) as generator:
        answers = stream(generator, requests(150))
    same = sum(a.turns == e.turns for a, e in zip(answers, expected, strict=True))
    assert same >= 148  # vLLM adds the adapter at run time, while merged weights are rounded once
    assert sum(a.turns != e.turns for a, e in zip(answers, expected_plain, strict=True)) > 75
    assert not any(text in answer.turns[0] for answer in answers for text in STOPPED.stop)
    assert {answer.finish_reason for answer in answers} == {"stop", "length"}


def test_every_setting_reaches_vllm_under_its_name():
    from vllm.engine.arg_utils import EngineArgs

    from preceptor.engines.vllm_engine import engine_arguments

    arguments = EngineArgs(**engine_arguments(SETTINGS, context=128))
    assert arguments.tensor_parallel_size == 4
    assert arguments.quantization == "fp8"
    assert arguments.dtype == "bfloat16"
    assert arguments.gpu_memory_utilization == 0.7
    assert arguments.enable_prefix_caching is False
    assert arguments.enforce_eager is True
    assert arguments.max_model_len == 128
    assert (arguments.model, arguments.revision) == (SMALL, "main")
    assert arguments.trust_remote_code is False
    assert arguments.enable_lora is False


@pytest.mark.parametrize(("pattern", "rank"), [({}, 8), ({"q_proj": 17}, 32)])
def test_the_lora_rank_is_the_adapters_highest_rounded_up(tmp_path, pattern, rank):
    from preceptor.engines.vllm_engine import engine_arguments

    adapter = write_adapter(tmp_path, rank_pattern=pattern)
    arguments = engine_arguments(replace(SETTINGS, adapter=adapter), context=128)
    assert (arguments["enable_lora"], arguments["max_lora_rank"]) == (True, rank)


def test_an_adapter_without_a_rank_is_refused_by_name(tmp_path):
    from preceptor.engines.vllm_engine import engine_arguments

    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "IA3"}))
    with pytest.raises(ModelError, match="is not a LoRA folder"):
        engine_arguments(replace(SETTINGS, adapter=str(tmp_path)), context=128)


def test_weights_or_an_adapter_of_another_model_are_refused_before_vllm_starts(tmp_path):
    from preceptor.engines.vllm_engine import refuse_unlike

    adapter = write_adapter(tmp_path / "adapter")
    refuse_unlike(replace(SETTINGS, adapter=adapter))
    with pytest.raises(ModelError, match="belongs to another model"):
        refuse_unlike(replace(SETTINGS, model=LARGE, adapter=adapter))
    folder = shutil.copytree(SMALL, tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    wrapped = {f"_orig_mod.{name}": tensor for name, tensor in tensors.items()}
    save_file(wrapped, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"lack all .*'_orig_mod\.'"):
        refuse_unlike(replace(SETTINGS, model=str(folder)))
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    save_file({"model.norm.weight": tensors["model.norm.weight"]}, folder / "more.safetensors")
    with pytest.raises(ModelError, match="already contains"):
        refuse_unlike(replace(SETTINGS, model=str(folder)))


@pytest.mark.parametrize(
    ("temperature", "message"), [(3.0, r"must be in \[0, 2\]"), (0.001, "at least 0.01")]
)
def test_an_unsupported_temperature_fails_before_the_start(temperature, message):
    with pytest.raises(EngineError, match=message):
        vllm(SMALL, Decoding(temperature=temperature))


def test_a_missing_model_is_named():
    with pytest.raises(EngineError, match="'nobody/nothing' at revision 'main' cannot be loaded"):
        vllm("nobody/nothing", Decoding())
