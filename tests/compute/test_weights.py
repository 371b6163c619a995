"""No loader unpickles anything. A folder without safetensors is refused with the names of its files."""

import json
import shutil

import pytest
import torch

from preceptor.compute.generation import TransformersGenerator
from preceptor.compute.load import ModelError, load_causal_lm, load_classifier
from preceptor.compute.loss import LossScorer
from preceptor.compute.request import Decoding
from preceptor.compute.reward import RewardScorer
from preceptor.compute.weights import (
    FolderError,
    adapter_problem,
    model_problem,
    read_tensors,
    weight_files,
)
from tests.conftest import CHATML, save_classifier, save_language_model
from tests.pickles import pickle_weights, write_pickle

LOADERS = {
    "teacher": lambda folder: TransformersGenerator(folder, decoding=Decoding(), device="cpu"),
    "base": lambda folder: LossScorer(folder, device="cpu"),
    "reward model, judge": lambda folder: RewardScorer(folder, device="cpu"),
    "tuned base": lambda folder: load_causal_lm(folder, "main", "float32", "cpu"),
    "remote code": lambda folder: load_classifier(folder, "main", "float32", "cpu", allow_remote_code=True),
}


@pytest.fixture
def marker(tmp_path):
    """A file that exists only if a pickle was executed."""
    yield tmp_path / "executed"
    assert not (tmp_path / "executed").exists()


def test_the_pickles_of_these_tests_run_if_loaded(tmp_path):
    write_pickle(tmp_path / "a.bin", tmp_path / "executed")
    torch.load(tmp_path / "a.bin", weights_only=False)
    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize("loader", LOADERS)
def test_pickled_weights_are_refused_with_the_fix(tmp_path, marker, loader):
    save = save_language_model if "base" in loader or loader == "teacher" else save_classifier
    folder = pickle_weights(save(tmp_path / "model", template=CHATML), marker)
    with pytest.raises(ModelError) as refusal:
        LOADERS[loader](folder)
    assert folder in str(refusal.value) and "pytorch_model.bin" in str(refusal.value)
    assert "save_pretrained" in str(refusal.value)


def test_an_adapter_inside_a_model_folder_is_refused(tmp_path, marker):
    folder = tmp_path / "model"
    save_language_model(folder)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 1}))
    write_pickle(folder / "adapter_model.bin", marker)
    with pytest.raises(ModelError, match="merge the adapter"):
        load_causal_lm(str(folder), "main", "float32", "cpu")


def test_pickles_beside_safetensors_are_not_read(tmp_path, marker):
    folder = tmp_path / "model"
    save_language_model(folder)
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt"):
        write_pickle(folder / name, marker)
    assert load_causal_lm(str(folder), "main", "float32", "cpu").config.model_type == "llama"


def test_a_stray_safetensors_file_does_not_make_pickles_loadable(tmp_path, marker):
    folder = tmp_path / "model"
    save_language_model(folder)
    shutil.copy(folder / "model.safetensors", folder / "other.safetensors")
    pickle_weights(folder, marker)
    shutil.copy(folder / "config.json", folder / "other.safetensors")
    with pytest.raises(ModelError):
        load_causal_lm(str(folder), "main", "float32", "cpu")


NAMED = {
    "a pickle": ({"weight_map": {"a": "pytorch_model.bin"}}, "names 'pytorch_model.bin' for a"),
    "a pickle among others": ({"weight_map": {"a": "x.safetensors", "b": "y.pt"}}, "names 'y.pt' for b"),
    "a path above": ({"weight_map": {"a": "../x.safetensors"}}, r"names '\.\./x\.safetensors'"),
    "a path elsewhere": ({"weight_map": {"a": "/tmp/x.safetensors"}}, "names '/tmp/x.safetensors'"),
    "a number": ({"weight_map": {"a": 7}}, "names 7 for a"),
    "a missing shard": (
        {"weight_map": {"a": "x.safetensors"}},
        "names x.safetensors",
    ),
    "nothing": ({"weight_map": {}}, "is not an index of shards"),
    "a list": ([], "must contain a JSON object"),
}


@pytest.mark.parametrize("loader", ["teacher", "base", "tuned base"])
@pytest.mark.parametrize("named", NAMED)
def test_an_index_may_only_name_safetensors_in_its_own_folder(tmp_path, marker, named, loader):
    folder, (index, sentence) = tmp_path / "model", NAMED[named]
    save_language_model(folder, template=CHATML)
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    for name in ("pytorch_model.bin", "y.pt"):
        write_pickle(folder / name, marker)
    with pytest.raises(ModelError, match=sentence) as refusal:
        LOADERS[loader](str(folder))
    assert str(folder / "model.safetensors.index.json") in str(refusal.value)
    assert str(refusal.value) == model_problem(str(folder))


def test_a_config_that_names_a_pickle_as_its_weights_is_refused(tmp_path, marker):
    save_language_model(tmp_path / "model")
    write_pickle(tmp_path / "model" / "adapter_model.bin", marker)
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    config["transformers_weights"] = "adapter_model.bin"
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"'transformers_weights: adapter_model\.bin'"):
        load_causal_lm(str(tmp_path / "model"), "main", "float32", "cpu")


def test_damaged_or_repeated_weights_are_named(tmp_path):
    file = tmp_path / "model.safetensors"
    save_language_model(tmp_path)
    whole = file.read_bytes()
    shutil.copy(file, tmp_path / "more.safetensors")
    assert model_problem(str(tmp_path)) is None  # transformers does not look at it; vLLM would read both
    with pytest.raises(FolderError, match=r"more\.safetensors contains lm_head\.weight"):
        read_tensors(weight_files(tmp_path, vllm=True))
    for spoiled in (whole[:-100], b"\xff" * 8 + whole[8:], b""):
        file.write_bytes(spoiled)
        with pytest.raises(ModelError, match=r"model\.safetensors cannot be read as safetensors"):
            load_causal_lm(str(tmp_path), "main", "float32", "cpu")


@pytest.mark.parametrize("name", ["adapter_model.bin", "adapter_model.pt"])
def test_a_pickled_adapter_is_refused(tmp_path, marker, name):
    write_pickle(tmp_path / name, marker)
    assert name in adapter_problem(str(tmp_path)) and "save_pretrained" in adapter_problem(str(tmp_path))
    (tmp_path / "adapter_model.safetensors").touch()
    assert adapter_problem(str(tmp_path)) is None


def test_a_hub_id_is_checked_by_the_loaders_only(tmp_path):
    assert model_problem("Qwen/Qwen2.5-0.5B") is None
    assert "no *.safetensors" in model_problem(str(tmp_path))
