"""What is published is what was trained, or the run fails by name and nothing is."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GraniteMoeConfig, MixtralConfig

from preceptor.lake.schemas import TUNED_CHECKPOINT
from preceptor.tuning import adapter as adapter_module
from preceptor.tuning import tune as tune_module
from preceptor.tuning.examples import Example
from preceptor.tuning.model import merged, save_model
from preceptor.tuning.publication import PublicationError, rows_to_compare, tolerance
from preceptor.tuning.task import Machine
from preceptor.tuning.tune import tune
from tests.conftest import byte_tokenizer, tiny_config
from tests.tuning.samples import EIGHT, save_base, study, trainer_of

CPU = Machine("cpu")
LORA = {"peft_type": "LORA", "r": 4, "target_modules": "all-linear"}


@pytest.mark.parametrize(("dtype", "peft"), [("float32", None), ("bfloat16", LORA)])
def test_the_manifest_says_the_folders_loss_on_training_rows(tmp_path, lake, dtype, peft):
    path = save_base(tmp_path / "base")
    setting = study(path, base={"dtype": dtype}, peft=peft, epochs=10, learning_rate=1e-2)
    outcome = tune(lake, setting, "run", EIGHT, {}, CPU)
    found = json.loads(outcome.rows["manifest"][0])["published_as_trained"]
    assert (found["rows"], found["adapter_loss"] is None) == (8, peft is None)
    # Independently: transformers' own loss of the folder, over the rows' learned tokens.
    _, examples = trainer_of(setting, EIGHT, tmp_path / "work")
    model = AutoModelForCausalLM.from_pretrained(outcome.rows["uri"][0])
    losses, counts = [], []
    for row in examples.rows:
        with torch.no_grad():
            losses.append(model(torch.tensor([row.ids]), labels=torch.tensor([row.labels])).loss.item())
        counts.append(sum(label != -100 for label in row.labels))
    by_hand = sum(loss * count for loss, count in zip(losses, counts, strict=True)) / sum(counts)
    assert found["published_loss"] == pytest.approx(by_hand, rel=1e-4 if dtype == "float32" else 1e-2)
    assert found["trainer_loss"] == pytest.approx(by_hand, abs=found["tolerance"])
    assert by_hand < 5.5  # a random model has about ln(260) = 5.56


EXPERTS = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
EXPERTS |= {"num_key_value_heads": 4, "num_local_experts": 4, "router_aux_loss_coef": 0.5}


@pytest.mark.parametrize("peft", [None, LORA | {"target_modules": ["q_proj"]}])
@pytest.mark.parametrize("kind", [MixtralConfig, GraniteMoeConfig])  # TRL cannot balance the second one's
def test_of_a_base_of_experts_the_loss_of_its_tokens_is_reported_as_of_any(tmp_path, lake, kind, peft):
    tokenizer = byte_tokenizer()
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(kind(vocab_size=len(tokenizer), **EXPERTS)).eval()
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    setting = study(str(tmp_path), batch_size=8, peft=peft)
    _, examples = trainer_of(setting, EIGHT, tmp_path / "work")
    # Independently, by the definition: the mean of -ln p over the learned tokens of the one batch.
    found = []
    for row in examples.rows:
        with torch.no_grad():
            log_p = model(torch.tensor([row.ids])).logits[0].double().log_softmax(-1)
        found += [-log_p[i - 1, token].item() for i, token in enumerate(row.labels) if i and token != -100]
    row = tune(lake, setting, "run", EIGHT, {}, CPU).rows.row(0, named=True)
    # Balancing them would add 0.5 times what is 2 where all four are chosen alike: a nat.
    assert row["final_loss"] == pytest.approx(sum(found) / len(found), abs=1e-5)
    compared = json.loads(row["manifest"])["published_as_trained"]
    assert compared["trainer_loss"] == pytest.approx(compared["published_loss"], abs=compared["tolerance"])
    assert compared["trainer_loss"] < row["final_loss"]
    before, after = (json.loads(Path(f, "config.json").read_text()) for f in (tmp_path, row["uri"]))
    assert after["router_aux_loss_coef"] == before["router_aux_loss_coef"] == 0.5
    assert after["output_router_logits"] is before["output_router_logits"] is False


def test_a_pad_token_without_an_embedding_is_not_written_into_what_is_published(tmp_path, lake):
    path = save_base(tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(path)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})  # behind the last row, as many Llamas have it
    tokenizer.save_pretrained(path)
    folder = Path(tune(lake, study(path), "run", EIGHT, {}, CPU).rows["uri"][0])
    before, after = (json.loads((f / "config.json").read_text()) for f in (tmp_path / "base", folder))
    for name in ("pad_token_id", "bos_token_id", "eos_token_id", "vocab_size"):
        assert after.get(name) == before.get(name)
    generation = json.loads((folder / "generation_config.json").read_text())
    assert generation["pad_token_id"] == tokenizer.eos_token_id < tokenizer.pad_token_id


def nothing_published(lake) -> bool:
    return lake.read(TUNED_CHECKPOINT).is_empty() and not Path(lake.root, "test", "checkpoints").exists()


def test_an_adapter_that_merging_changes_is_not_published(tmp_path, lake, monkeypatch):
    config = tiny_config(len(byte_tokenizer()), 128)
    config.tie_word_embeddings = True
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    peft = {"peft_type": "LORA", "r": 4, "target_modules": ["q_proj", "embed_tokens"]}
    monkeypatch.setattr(
        adapter_module, "_refuse_embedding_adapters", lambda *_: None
    )  # as if the fault were not known
    with pytest.raises(PublicationError, match=r"run 'run': the saved model .* 8 .*tunings\.settings\.peft"):
        tune(lake, study(str(tmp_path), peft=peft, epochs=20, learning_rate=2e-2), "run", EIGHT, {}, CPU)
    assert nothing_published(lake)


def test_an_adapter_that_does_not_fit_the_base_beside_it_is_not_published(tmp_path, lake, monkeypatch):
    def emptied(model, task, folder):
        whole = merged(model, task, folder)
        file = folder / "adapter" / "adapter_model.safetensors"
        save_file({name: torch.zeros_like(weights) for name, weights in load_file(file).items()}, file)
        return whole

    monkeypatch.setattr(tune_module, "merged", emptied)
    setting = study(save_base(tmp_path / "base"), peft=LORA, epochs=10, learning_rate=1e-2)
    with pytest.raises(PublicationError, match=r"run 'run': the base with the saved adapter .*peft"):
        tune(lake, setting, "run", EIGHT, {}, CPU)
    assert nothing_published(lake)


@pytest.mark.parametrize("wrong", [0.05, float("nan")])
def test_weights_that_are_not_saved_as_they_are_trained_are_not_published(tmp_path, lake, monkeypatch, wrong):
    def disturbed(model, *others):
        torch.manual_seed(0)
        for weights in model.parameters():
            weights.data.add_(torch.randn_like(weights) * wrong)
        save_model(model, *others)

    monkeypatch.setattr(tune_module, "save_model", disturbed)
    setting = study(save_base(tmp_path / "base"), epochs=10, learning_rate=1e-2)
    with pytest.raises(PublicationError, match=r"run 'run': the saved model .*bases\.base"):
        tune(lake, setting, "run", EIGHT, {}, CPU)
    assert nothing_published(lake)


def test_long_rows_are_compared_only_where_there_are_no_others():
    rows = [Example(str(length), [0] * length, [0] * length) for length in (5000, 3000, 10, 20)]
    assert [row.response_id for row in rows_to_compare(rows)] == ["10", "20"]
    assert [row.response_id for row in rows_to_compare(rows[:2])] == ["3000"]
    assert len(rows_to_compare(rows[2:] * 9)) == 8


def test_the_tolerance_is_that_of_the_dtype_that_is_saved_and_computed_in():
    def allowed(dtype="float32", loss=1.0, **tuning):
        declared = study("some/base", base={"dtype": dtype}, **tuning)
        return tolerance(declared.bases[0], declared.tunings[0], loss)

    assert allowed() == pytest.approx(0.002)
    assert allowed("bfloat16") == allowed("float16") == allowed(mixed_precision="bf16") == pytest.approx(0.07)
    assert allowed("bfloat16", loss=0.0) == pytest.approx(0.02)
