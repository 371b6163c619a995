"""lm-eval's own tasks on small local files: right and wrong models, prompts, and what is refused."""

import json
import logging
import warnings
from dataclasses import replace
from datetime import date
from importlib.util import find_spec

import pytest
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

pytest.importorskip("lm_eval", reason="the extra 'benchmarks' is not installed")

from preceptor.evaluation.lm_eval import package
from preceptor.evaluation.lm_eval.package import MissingPackageError, definitions_folder
from preceptor.evaluation.lm_eval.presets import GSM8K, IFEVAL, PRESETS, TYDIQA, Preset, Task
from preceptor.evaluation.lm_eval.responses import item_ids
from preceptor.evaluation.lm_eval.run import evaluate_model, load_model
from preceptor.evaluation.lm_eval.scores import aggregate
from preceptor.evaluation.lm_eval.tasks import load_tasks
from preceptor.evaluation.whole_file import BenchmarkError
from tests.conftest import CHATML, save_language_model
from tests.evaluation.lm_eval.answering import Answering, model_run

pytestmark = pytest.mark.slow
PLAIN_GSM8K = replace(GSM8K, apply_chat_template=False)
SUMS = [{"question": f"What is {n} + 1000?", "answer": f"Add.\n#### {n + 1000:,}"} for n in range(12)]
FRUIT = [
    {"question": f"Fruit {n}?", "choices": ["fig", "pear", "kiwi", "plum"], "answer": n % 4} for n in range(6)
]


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def answers(preset: Preset, data, model, seed: int = 0):
    return evaluate_model(preset, load_tasks(preset, data, seed), model, seed)


def sum_of(row) -> str:
    return f"The answer is {row['answer'].split('#### ')[1]}."


@pytest.fixture
def sums(tmp_path):
    write(tmp_path / "test.jsonl", SUMS)
    return tmp_path


@pytest.fixture
def mmlu(tmp_path) -> Preset:
    for split in ("test", "dev"):
        write(tmp_path / f"anatomy/{split}.jsonl", FRUIT)
    tasks = (Task("mmlu_anatomy", "anatomy"),)
    return replace(PRESETS["mmlu_5shot"], tasks=tasks, apply_chat_template=False)


def test_a_right_model_scores_1_and_a_wrong_one_0(sums):
    right = answers(PLAIN_GSM8K, sums, Answering(sum_of))
    wrong = answers(PLAIN_GSM8K, sums, Answering(lambda row: "The answer is 7."))
    assert aggregate(GSM8K, right).value == 1.0
    assert aggregate(GSM8K, wrong).value == 0.0
    assert {item.target for item in right} == {row["answer"].split("#### ")[1] for row in SUMS}
    assert [item.item_id for item in right] == [item.item_id for item in wrong]
    assert right[0].measures == {"exact_match/strict-match": 1.0, "exact_match/flexible-extract": 1.0}
    assert right[0].response == "The answer is 1,000."


def test_half_of_the_items_right_is_a_half(sums):
    def half(row):
        return sum_of(row) if row in SUMS[::2] else "The answer is 7."

    assert aggregate(GSM8K, answers(PLAIN_GSM8K, sums, Answering(half))).value == 1 / 2


def test_a_limit_takes_the_drawn_items_and_a_seed_others(sums):
    preset = replace(PLAIN_GSM8K, limit=5)
    first, again, other = (answers(preset, sums, Answering(sum_of), seed) for seed in (0, 0, 1))
    everything = {item.item_id: item for item in answers(PLAIN_GSM8K, sums, Answering(sum_of))}
    assert first == again
    assert len(first) == len(other) == 5
    assert {item.item_id for item in first} != {item.item_id for item in other}
    assert all(everything[item.item_id].prompt == item.prompt for item in [*first, *other])


def test_rows_that_repeat_are_items_of_their_own(sums):
    write(sums / "test.jsonl", SUMS[:2] * 2)
    found = [item.item_id for item in answers(PLAIN_GSM8K, sums, Answering(sum_of))]
    assert found == item_ids("gsm8k_cot", SUMS[:2] * 2)
    assert len(set(found)) == 4


@pytest.mark.parametrize("shots", [0, 3, 8])
def test_the_prompt_has_exactly_the_worked_examples_asked_for(sums, shots):
    found = answers(replace(PLAIN_GSM8K, shots=shots), sums, Answering(sum_of))
    assert {item.prompt[0].count("The answer is") for item in found} == {shots}
    assert all(item.prompt[0].count("Q: ") == shots + 1 for item in found)


@pytest.mark.parametrize("shots", [0, 5])
def test_mmlu_scores_the_liked_choice_by_the_presets_shots(mmlu, tmp_path, shots):
    preset = replace(mmlu, shots=shots)
    right = answers(preset, tmp_path, Answering(sum_of, lambda row: row["answer"]))
    wrong = answers(preset, tmp_path, Answering(sum_of, lambda row: (row["answer"] + 1) % 4))
    assert [(aggregate(preset, found).value) for found in (right, wrong)] == [1.0, 0.0]
    assert [(item.response, item.target) for item in wrong[:4]] == [
        ("B", "A"),
        ("C", "B"),
        ("D", "C"),
        ("A", "D"),
    ]
    assert right[0].prompt[0].count("Answer:") == shots + 1
    assert right[0].measures == {"acc": 1.0}


def defined(preset: Preset) -> set[str]:
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=definitions_folder(preset), include_defaults=False)
    return set(manager.all_subtasks)


@pytest.mark.parametrize("name", ["mmlu", "mmlu_5shot", "bbh", "tydiqa"])
def test_a_preset_names_all_tasks_of_its_folder(name):
    assert defined(PRESETS[name]) == {task.name for task in PRESETS[name].tasks}


def test_the_other_presets_take_one_of_their_folders_variants():
    assert defined(GSM8K) > {"gsm8k_cot"}
    assert defined(IFEVAL) > {"ifeval"}


def test_all_of_mmlu_is_built_from_local_rows(tmp_path):
    for task in PRESETS["mmlu"].tasks:
        for split in ("test", "dev"):
            write(tmp_path / task.rows / f"{split}.jsonl", FRUIT)
    found = answers(
        replace(PRESETS["mmlu"], apply_chat_template=False, limit=2),
        tmp_path,
        Answering(sum_of, lambda row: 0),
    )
    assert len(found) == 57 * 2
    assert [item.task for item in found[::2]] == [task.name for task in PRESETS["mmlu"].tasks]
    assert all(item.task.removeprefix("mmlu_").replace("_", " ") in item.prompt[0] for item in found)


def test_tydiqa_scores_the_overlap_of_words_in_each_language(tmp_path, capfd):
    def row(language, number):
        text = {"text": ["in the green house", "green house"], "start": [0, 7]}
        return {
            "id": f"{language}-{number}",
            "title": "t",
            "context": "It stood in the green house.",
            "question": "Where?",
            "answers": text,
        }

    rows = [row(language, number) for language in ("finnish", "korean") for number in range(3)]
    for split in TYDIQA.splits:
        write(tmp_path / f"secondary_task/{split}.jsonl", rows)
    two = tuple(task for task in TYDIQA.tasks if task.name.endswith(("_fi", "_ko")))
    preset = replace(TYDIQA, tasks=two, apply_chat_template=False)
    found = answers(preset, tmp_path, Answering(lambda row: " a green barn"))
    assert [item.task for item in found] == ["tydiqa_goldp_fi"] * 3 + ["tydiqa_goldp_ko"] * 3
    # Against "green house": 1 of 3 predicted and 1 of 2 true words, so F1 = 2 · 1/3 · 1/2 / (5/6) = 2/5.
    assert [item.outcome for item in found] == pytest.approx([2 / 5] * 6)
    assert found[0].prompt[0].count("Kysymys: Where?") == 2
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(find_spec("langdetect") is not None, reason="IFEval's packages are installed")
def test_ifeval_says_what_to_install(tmp_path):
    with pytest.raises(MissingPackageError, match=r"needs langdetect.*pip install 'lm-eval\[ifeval\]=="):
        load_tasks(IFEVAL, tmp_path, 0)


OWN = """
task: colours
dataset_path: nobody/asks_for_this
output_type: generate_until
test_split: test
doc_to_text: "{{question}}"
doc_to_target: "{{colour}}"
generation_kwargs: {until: ["\\n"]}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""


FRUITS = """
task: fruit
output_type: multiple_choice
test_split: test
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: answer
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""


@pytest.fixture
def own(tmp_path) -> Preset:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/colours.yaml").write_text(OWN)
    write(
        tmp_path / "colours.jsonl",
        [{"question": "The sky?", "colour": "blue"}, {"question": "Sand?", "colour": "tan"}],
    )
    return Preset(
        name="colours",
        tasks=(Task("colours", "colours"),),
        definitions=tmp_path / "tasks",
        splits=("test",),
        shots=0,
        main_measure="exact_match",
        apply_chat_template=False,
    )


def test_a_task_of_ones_own_runs_on_ones_own_rows(own, tmp_path):
    found = answers(own, tmp_path, Answering(lambda row: "blue"))
    assert [item.outcome for item in found] == [1.0, 0.0]
    assert [item.prompt for item in found] == [("The sky?",), ("Sand?",)]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"tasks": (Task("color", "colours"),)}, r"defines no task 'color' .*colours"),
        ({"main_measure": "f1"}, r"no measure 'f1'.*exact_match"),
        ({"shots": 3}, r"has 2 worked examples for 3 shots: lower 'shots'"),
        ({"splits": ("train",)}, r"cannot build task 'colours' on these rows: KeyError: 'test'"),
    ],
)
def test_a_setting_that_does_not_fit_the_task_is_told(own, tmp_path, change, problem):
    with pytest.raises(BenchmarkError, match=problem):
        answers(replace(own, **change), tmp_path, Answering(lambda row: ""))


def test_a_column_that_the_task_reads_and_no_row_has_is_told(own, tmp_path):
    write(tmp_path / "colours.jsonl", [{"question": "The sky?"}])
    with pytest.raises(BenchmarkError, match="UndefinedError: 'colour' is undefined"):
        answers(own, tmp_path, Answering(lambda row: ""))


def test_a_task_without_responses_is_refused(own, tmp_path):
    text = OWN.replace("generate_until", "loglikelihood_rolling").replace("exact_match", "word_perplexity")
    (tmp_path / "tasks/colours.yaml").write_text(text.replace("generation_kwargs", "#"))
    with pytest.raises(BenchmarkError, match="output_type 'loglikelihood_rolling'"):
        load_tasks(own, tmp_path, 0)


def test_items_that_go_missing_are_an_error(own, tmp_path, monkeypatch):
    import lm_eval.evaluator

    evaluate = lm_eval.evaluator.evaluate

    def forgetful(*arguments, **settings):
        found = evaluate(*arguments, **settings)
        found["samples"]["colours"].pop()
        return found

    monkeypatch.setattr(lm_eval.evaluator, "evaluate", forgetful)
    with pytest.raises(BenchmarkError, match="returned 1 of the 2 items of task 'colours'"):
        answers(own, tmp_path, Answering(lambda row: ""))


def test_a_run_leaves_output_loggers_and_warnings_as_they_were(own, tmp_path, capfd):
    before = state()
    answers(own, tmp_path, Answering(lambda row: ""))
    assert state() == before
    assert capfd.readouterr() == ("", "")


def state():
    loggers = [logging.getLogger(name) for name in (None, "lm_eval", "transformers", "datasets")]
    return [(one.level, one.propagate, list(one.handlers)) for one in loggers], list(warnings.filters)


def test_a_model_folder_is_asked_in_its_own_template(own, tmp_path):
    folder = save_language_model(tmp_path / "model", template=CHATML)
    preset = replace(own, apply_chat_template=True, response_tokens=4)
    found = model_run(preset, tmp_path, folder)
    assert found[0].prompt == ("<|im_start|>user\nThe sky?<|im_end|>\n<|im_start|>assistant\n",)
    assert [item.error for item in found] == [None, None]
    assert all(item.response for item in found)
    assert model_run(preset, tmp_path, folder) == found


def test_a_template_that_shows_the_date_shows_the_studys(own, tmp_path):
    folder = save_language_model(tmp_path / "model", template="{{ strftime_now('%d %b %Y') }}" + CHATML)
    model = load_model(replace(own, apply_chat_template=True), folder, "cpu", 1, date(2024, 2, 29))
    asked = [{"role": "user", "content": "Hi"}]
    assert model.apply_chat_template(asked).startswith("29 Feb 2024<|im_start|>user\nHi")


@pytest.mark.parametrize("written", ["", "{{ bos_token }}"])
def test_before_a_template_stands_no_token_but_its_own(own, tmp_path, written):
    folder = save_language_model(tmp_path / "model", template=written + CHATML)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    bos = tokenizer.bos_token, tokenizer.bos_token_id  # which Llama's tokenizers add by themselves
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{bos[0]} $A", special_tokens=[bos]
    )
    tokenizer.save_pretrained(folder)
    model = load_model(replace(own, apply_chat_template=True), folder, "cpu", 1)
    text = model.apply_chat_template([{"role": "user", "content": "Hi"}])
    assert model.tok_encode(text).count(bos[1]) == (1 if written else 0)
    assert model.tok_batch_encode([text])[0][0].tolist() == model.tok_encode(text)
    bare = load_model(replace(own, apply_chat_template=False), folder, "cpu", 1)
    assert bare.tok_encode("Hi")[0] == bos[1]


def test_without_a_template_none_can_be_applied(own, tmp_path):
    folder = save_language_model(tmp_path / "model")
    with pytest.raises(BenchmarkError, match="has no chat template: save one with the model, or set"):
        model_run(replace(own, apply_chat_template=True), tmp_path, folder)


def test_a_prompt_that_lm_eval_would_cut_is_an_error_and_no_wrong_answer(own, tmp_path):
    write(
        tmp_path / "colours.jsonl", [{"question": "x " * 50, "colour": "a"}, {"question": "x", "colour": "a"}]
    )
    folder = save_language_model(tmp_path / "model", context=64)
    cut, whole = model_run(replace(own, response_tokens=8), tmp_path, folder)
    assert cut.outcome is None
    assert cut.error.startswith("the prompt has 100 tokens") and " 56 " in cut.error
    assert (whole.outcome, whole.error) == (0.0, None)


def test_a_choice_counts_as_part_of_what_the_model_reads(mmlu, tmp_path):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/fruit.yaml").write_text(FRUITS)
    # 60 letters are 60 tokens of the byte tokenizer and " plums" is 6, of which 5 are read.
    rows = [{"question": "x" * 60, "choices": ["plums", "fig"], "answer": 0}]
    write(tmp_path / "fruit.jsonl", rows)
    preset = replace(
        mmlu, tasks=(Task("fruit", "fruit"),), definitions=tmp_path / "tasks", splits=("test",), shots=0
    )
    fits, cut = (
        model_run(preset, tmp_path, save_language_model(tmp_path / f"{context}", context=context))
        for context in (65, 64)
    )
    assert fits[0].error is None
    assert cut[0].error.startswith("the prompt has 60 tokens") and " 59 " in cut[0].error


def test_without_nltks_sentence_splitter_nothing_is_fetched(monkeypatch):
    nltk = pytest.importorskip("nltk")

    def nowhere(name):
        raise LookupError(name)

    monkeypatch.setattr(nltk.data, "find", nowhere)
    with pytest.raises(MissingPackageError, match=r"python -m nltk\.downloader punkt_tab"):
        package._require_sentences("ifeval")


def test_a_response_as_long_as_the_context_is_refused(own, tmp_path):
    folder = save_language_model(tmp_path / "model", context=64)
    with pytest.raises(BenchmarkError, match=r"64 tokens .*response_tokens"):
        model_run(replace(own, response_tokens=64), tmp_path, folder)


def test_a_template_that_drops_the_tasks_description_is_refused(own, tmp_path):
    (tmp_path / "tasks/colours.yaml").write_text(OWN + 'description: "Name the colour."\n')
    only_users = (
        "{% for m in messages %}{% if m['role'] == 'user' %}{{ m['content'] }}{% endif %}{% endfor %}"
    )
    folder = save_language_model(tmp_path / "model", template=only_users)
    with pytest.raises(BenchmarkError, match=r"system message.*'Name the colour\.'"):
        model_run(replace(own, apply_chat_template=True, response_tokens=4), tmp_path, folder)


def test_a_model_that_is_no_folder_is_never_fetched(own, tmp_path):
    with pytest.raises(BenchmarkError, match="model 'gpt2' is not a folder"):
        load_model(own, "gpt2", "cpu", 1)
