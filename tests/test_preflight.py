"""Mistakes that only files and models show are all found before anything runs."""

import json
from pathlib import Path
from shutil import copytree

import pytest
import yaml
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from preceptor.preflight import preflight
from preceptor.study.load import load_study
from tests.pickles import pickle_weights, write_pickle
from tests.studies import document, lines, with_runs, write_benchmarks, write_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("preflight")
    write_study(folder)
    write_benchmarks(folder)
    return folder


def problems(folder, change=lambda study: None) -> list[str]:
    study = with_runs(document("small"))
    change(study)
    (folder / "changed.yaml").write_text(yaml.safe_dump(study))
    return preflight(load_study(folder / "changed.yaml"))


def test_a_sound_study_has_none(folder):
    assert problems(folder) == []


def test_all_are_found_at_once(folder):
    lines(folder / "unchecked.jsonl", [{"instruction": "Why?", "answer": "Because."}])

    def spoil(study):
        study["evaluations"][0]["path"] = "unchecked.jsonl"
        study["tunings"][0]["peft"] = {"peft_type": "LORA", "rank": 4}
        study["bases"][0]["prompt_format"] = "chatml"

    benchmark, adapter, ending = problems(folder, spoil)
    assert "unchecked.jsonl:1: column 'check'" in benchmark and "add it, or name another" in benchmark
    assert adapter == "tunings.quick.peft.rank: peft's LoraConfig has no such setting"
    assert ending.startswith("bases.base-a.prompt_format: 'chatml' ends a turn with '<|im_end|>")


def test_a_base_without_a_template_of_its_own_is_named(folder):
    (problem,) = problems(folder, lambda study: study["bases"][0].update(prompt_format="own"))
    assert "has no chat template; set 'prompt_format' to one of tulu, chatml, plain" in problem
    assert "raw" not in problem  # which no study can set


@pytest.mark.parametrize("answer", ["25 m^2", "7 kg/m3", "3 x 10^5", "5:30"])
def test_an_answer_that_is_not_one_plain_number_is_named_by_line_and_field(folder, answer):
    rows = [{"instruction": "How many?", "answer": 1e-05}, {"instruction": "How large?", "answer": answer}]
    lines(folder / "units.jsonl", [{**row, "check": "number"} for row in rows])
    (problem,) = problems(folder, lambda study: study["evaluations"][0].update(path="units.jsonl"))
    assert "units.jsonl:2: column 'answer'" in problem and "is not one plain number" in problem


def test_what_no_run_uses_is_left_alone(folder):
    def unused(study):
        study["tunings"].append({"name": "odd", "peft": {"rank": 4}})
        study["bases"][1]["prompt_format"] = "chatml"

    assert problems(folder, unused) == []


def test_pickled_weights_are_named_before_anything_runs(folder, tmp_path):
    for name in ("base-b", "classifier", "teacher"):
        copytree(folder / name, tmp_path / name)
        pickle_weights(tmp_path / name, tmp_path / "executed")
    write_pickle(tmp_path / "adapter_model.bin", tmp_path / "executed")

    def spoil(study):
        study["bases"][1]["model"] = str(tmp_path / "base-b")
        study["reward_models"][1]["model"] = study["evaluations"][1]["judge"]["model"] = str(
            tmp_path / "classifier"
        )
        vllm = {"name": "tuned", "engine": "vllm", "model": "some/model", "adapter": str(tmp_path)}
        study["teachers"] += [
            vllm,
            {"name": "other", "engine": "transformers", "model": str(tmp_path / "teacher")},
        ]

    found = problems(folder, spoil)
    places = ("teachers.tuned", "teachers.other", "bases.base-b", "reward_models.classifier")
    assert [problem.partition(": ")[0] for problem in found] == list(places)
    assert len(found) == 4 and all("pickle can run code" in problem for problem in found)
    assert not (tmp_path / "executed").exists()


def rewrite(folder, weights) -> str:
    save_file(
        weights(load_file(folder / "model.safetensors")), folder / "model.safetensors", {"format": "pt"}
    )
    return str(folder)


def test_models_that_are_not_whole_are_named_with_their_place_and_tensors(folder, tmp_path):
    for name in ("base-a", "teacher", "classifier"):
        copytree(folder / name, tmp_path / name)
    for name in ("base-a", "teacher"):
        rewrite(tmp_path / name, lambda w: {f"_orig_mod.{tensor}": value for tensor, value in w.items()})
    rewrite(tmp_path / "classifier", lambda w: {n: v for n, v in w.items() if n != "score.weight"})

    def spoil(study):
        study["bases"][0]["model"] = str(tmp_path / "base-a")
        study["reward_models"][1]["model"] = str(tmp_path / "classifier")
        study["evaluations"][1]["judge"]["model"] = str(folder / "base-a")  # a language model, as a judge
        study["teachers"].append({"name": "v", "engine": "vllm", "model": str(tmp_path / "teacher")})

    found = problems(folder, spoil)
    assert [(p.partition(": ")[0], "_orig_mod." in p, "score.weight" in p) for p in found] == [
        ("teachers.v", True, False),
        ("bases.base-a", True, False),
        ("reward_models.classifier", False, True),
        ("evaluations.duels.judge", False, True),
    ]
    assert (
        str(tmp_path / "classifier") in found[2]
        and "a language model cannot be used as a reward model" in found[3]
    )


def test_a_tokenizer_larger_than_the_embeddings_is_named(folder, tmp_path):
    copytree(folder / "base-b", tmp_path / "base-b")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "base-b")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.save_pretrained(tmp_path / "base-b")
    changed = {"model": str(tmp_path / "base-b"), "prompt_format": "chatml"}
    (problem,) = problems(folder, lambda study: study["bases"][1].update(changed))
    assert problem.startswith("bases.base-b: the tokenizer has 265 tokens, but the model has 263 embeddings")


def test_what_keeps_a_tokenizer_from_loading_is_told_once(folder, tmp_path):
    copytree(folder / "base-a", tmp_path / "base-a")
    (tmp_path / "base-a" / "tokenizer.json").write_text("[1]")
    (problem,) = problems(folder, lambda study: study["bases"][0].update(model=str(tmp_path / "base-a")))
    assert problem.startswith("bases.base-a: model ") and "cannot be loaded" in problem


DEAF = "{% for m in messages if m['role'] != 'system' %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
DEAF += "{% if add_generation_prompt %}assistant: {% endif %}"


def asked(system, number):
    told = [] if system is None else [{"role": "system", "content": system}]
    return {"messages": [*told, {"role": "user", "content": f"Question {number}?"}]}


def with_template(tmp_path, template, kind="teacher"):
    copytree(Path(__file__).parents[1] / "studies/demo/teachers/llama-small", tmp_path / kind)
    (tmp_path / kind / "chat_template.jinja").write_text(template)
    return str(tmp_path / kind)


def test_a_model_that_states_no_context_is_named_and_max_length_is_the_cure(folder, tmp_path):
    """XLNet says -1, BLOOM nothing; every row would need it, after the first teachers' hours."""
    copytree(folder / "base-a", tmp_path / "unbounded")
    path = tmp_path / "unbounded" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"max_position_embeddings": -1}))

    def unbounded(max_length):
        return lambda study: study["bases"][0].update(model=str(path.parent), max_length=max_length)

    assert problems(folder, unbounded(None)) == [
        "bases.base-a: llama: the model states no context length; set 'max_length'"
    ]
    assert problems(folder, unbounded(64)) == []


@pytest.mark.parametrize(("told", "problem"), [(30, True), (1, False), (0, False)])
def test_a_template_that_drops_system_prompts_is_named_where_too_many_have_one(
    folder, tmp_path, told, problem
):
    lines(tmp_path / "asked.jsonl", [asked(f"Be {n}." if n < told else None, n) for n in range(40)])
    model = with_template(tmp_path, DEAF)

    def spoil(study):
        study["instructions"]["sources"] = [
            {"name": "own", "path": str(tmp_path / "asked.jsonl"), "format": "messages"}
        ]
        study["teachers"].append({"name": "deaf", "engine": "transformers", "model": model})

    found = problems(folder, spoil)
    if not problem:
        assert found == []
        return
    (sentence,) = found
    assert sentence.startswith(
        f"teachers.deaf: the chat template of {model} (chat_template.jinja) leaves out the system prompt; "
    )
    assert "set 'prompt_format'" in sentence and "(30 of 40 instructions would be lost;" in sentence


def test_templates_that_can_do_nothing_are_named_wherever_they_are_used(folder, tmp_path):
    escaped = DEAF.replace("{{ m['content'] }}", "{{ m['content'] | e }}")
    copytree(folder / "classifier", tmp_path / "classifier")
    (tmp_path / "classifier" / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m.text }}{% endfor %}"
    )
    thought = DEAF.replace("{{ m['content'] }}", "<think></think>{{ m['content'] }}")

    def spoil(study):
        base, teacher = with_template(tmp_path, thought, "base"), with_template(tmp_path, escaped)
        study["bases"][1].update(prompt_format="own", model=base)
        study["teachers"][-1]["model"] = teacher
        judge = study["evaluations"][1]["judge"]
        study["reward_models"][1]["model"] = judge["model"] = str(tmp_path / "classifier")

    teacher, base, reward_model, judge = problems(folder, spoil)
    assert teacher.startswith("teachers.tiny: ") and "changes the text of the user's turn" in teacher
    assert base.startswith("bases.base-b: ") and "adds text before an answer" in base
    assert reward_model.startswith("reward_models.classifier: ") and "renders nothing" in reward_model
    assert judge.startswith("evaluations.duels.judge: ") and "renders nothing" in judge


# A thought is left out (as by DeepSeek R1's), or an empty one is put where there is none (Qwen3's).
FORGETS = ".split('</think>')[-1].strip()"
THINKS = (
    "{% if m['role'] == 'assistant' and '<think>' not in m['content'] %}<think>\n\n</think>\n\n{% endif %}"
)
THINKS += "{{ m['content'] }}"


def thoughtful(number, every):
    return ("<think>\nHow?\n</think>\n\n" if number % every == 0 else "") + f"So, {number}."


@pytest.mark.parametrize(
    ("content", "every", "lost"),
    [
        (
            f"{{{{ m['content']{FORGETS} }}}}",
            2,
            "leaves the thought (<think>) out of the assistant's turn",
        ),
        (f"{{{{ m['content']{FORGETS} }}}}", 99, None),  # one in forty: an error of its row
        (THINKS, 2, "adds text before an answer"),
        (THINKS, 1, None),
    ],
)
def test_a_template_that_changes_recorded_thoughts_is_named_where_too_many_have_one(
    folder, tmp_path, content, every, lost
):
    lines(tmp_path / "asked.jsonl", [{"instruction": f"Question {n}?"} for n in range(40)])
    told = [{"instruction": f"Question {n}?", "response": thoughtful(n, every)} for n in range(40)]
    lines(tmp_path / "told.jsonl", told)
    base = with_template(tmp_path, DEAF.replace("{{ m['content'] }}", content + "{{ eos_token }}"), "base")

    def spoil(study):
        study["instructions"]["sources"] = [{"name": "own", "path": str(tmp_path / "asked.jsonl")}]
        study["teachers"] = [{"name": "mind", "engine": "recorded", "path": str(tmp_path / "told.jsonl")}]
        study["bases"][0].update(prompt_format="own", model=base)
        del study["reward_models"][0]
        study["recipes"] = [{"kind": "teacher", "name": "of-mind", "teacher": "mind"}]
        study["runs"] = [{"name": "run", "base": "base-a", "recipe": "of-mind", "tuning": "quick"}]

    found = problems(folder, spoil)
    if lost is None:
        assert found == []
        return
    (sentence,) = found
    assert sentence.startswith("bases.base-a: the chat template of ") and lost in sentence
    assert "set 'prompt_format' to tulu, chatml or plain" in sentence
    assert "(20 of 40 responses of teacher 'mind' would be lost; 'limits.failed_rows' allows" in sentence
