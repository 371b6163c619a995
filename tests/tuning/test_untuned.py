"""The untuned base as a student's folder: all but the weights alike, made once, or why it cannot be."""

from pathlib import Path

import pytest

from preceptor.evaluation.job import NotEvaluatedError
from preceptor.study.schema import Base
from preceptor.tuning.task import Machine
from preceptor.tuning.tune import tune
from preceptor.tuning.untuned import untuned_fingerprint, untuned_folder
from tests.tuning.samples import EIGHT, furthest, save_base, study


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> str:
    return save_base(tmp_path_factory.mktemp("base"), "<|im_end|>")


def test_it_is_loaded_prompted_and_stopped_as_its_students_are(base, lake):
    declared = study(base, base={"prompt_format": "chatml", "dtype": "bfloat16", "max_length": 64})
    student = Path(tune(lake, declared, "run", EIGHT, {}, Machine("cpu")).rows["uri"][0])
    made = untuned_folder(lake, declared.base("base"))
    theirs, own = files(student), files(made)
    weights = {name for name in own if name.endswith(".safetensors")}
    assert weights and own.keys() == theirs.keys() - {"manifest.json"}
    assert {name for name in own if own[name] != theirs[name]} == weights


def test_it_is_made_once_and_again_for_other_settings(base, lake):
    declared = Base(name="base", model=base)
    made = untuned_folder(lake, declared)
    assert furthest(str(made), base) == 0.0
    (made / "kept").write_text("")
    assert untuned_folder(lake, declared) == made and (made / "kept").exists()
    half = made.parent / f"{made.name}.part"  # left by a kill
    half.mkdir()
    other = untuned_folder(lake, declared.model_copy(update={"prompt_format": "plain"}))
    assert [path.name for path in made.parent.iterdir() if path.is_dir()] == [other.name]


def test_its_mark_is_that_of_weights_template_and_dtype(base, tmp_path):
    declared = Base(name="base", model=base)
    again = save_base(tmp_path / "again", "<|im_end|>", seed=1)
    changes = ({"model": again}, {"dtype": "bfloat16"}, {"prompt_format": "plain"}, {"max_length": 64})
    fingerprints = {untuned_fingerprint(declared.model_copy(update=change)) for change in changes}
    assert len(fingerprints | {untuned_fingerprint(declared)}) == len(changes) + 1
    for update in ({"name": "another"}, {"unconditional": False}, {"include_end_of_turn": True}):
        assert untuned_fingerprint(declared.model_copy(update=update)) == untuned_fingerprint(declared)


def test_a_base_whose_students_could_never_stop_says_so_and_leaves_nothing(tmp_path, lake):
    declared = Base(name="base", model=save_base(tmp_path / "base"), prompt_format="chatml")
    with pytest.raises(
        NotEvaluatedError, match=r"base 'base' cannot be evaluated untuned: bases\.base\.prompt_format"
    ):
        untuned_folder(lake, declared)
    assert not any(path.is_dir() for path in (Path(lake.home) / "_work" / "untuned" / "base").iterdir())
