"""The benchmarks of Tülu 1 as lm-eval's tasks, with Tülu's shots and limits, and the later IFEval."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

TULU = "Wang et al. 2023, arXiv 2306.04751, appendix on evaluation, and open-instruct's eval/"


@dataclass(frozen=True)
class Task:
    """One of lm-eval's tasks, and the name of its rows in the folder of local data."""

    name: str
    rows: str


@dataclass(frozen=True)
class Preset:
    """The settings of a benchmark.

    `limit` is the number of items for each task, drawn by the seed; None takes all. `definitions` is the
    folder of the tasks' YAML files: within lm-eval's own tasks, or an absolute path. `splits` are the splits
    in the YAML file, the evaluated one first. `response_tokens` is the longest response; None uses the task's
    own. `columns` must be filled in every row. `field` is the field of a .json file that has the rows. A
    measure is called metric/filter, or metric if the task has no filter.
    """

    name: str
    tasks: tuple[Task, ...]
    definitions: Path
    splits: tuple[str, ...]
    shots: int
    main_measure: str
    mean_over: Literal["items", "tasks"] = "items"
    limit: int | None = None
    response_tokens: int | None = None
    apply_chat_template: bool = True
    columns: tuple[str, ...] = ()
    field: str | None = None
    packages: tuple[str, ...] = ()
    source: str = ""


MMLU_SUBJECTS = (
    "abstract_algebra anatomy astronomy business_ethics clinical_knowledge college_biology"
    " college_chemistry college_computer_science college_mathematics college_medicine college_physics"
    " computer_security conceptual_physics econometrics electrical_engineering elementary_mathematics"
    " formal_logic global_facts high_school_biology high_school_chemistry high_school_computer_science"
    " high_school_european_history high_school_geography high_school_government_and_politics"
    " high_school_macroeconomics high_school_mathematics high_school_microeconomics high_school_physics"
    " high_school_psychology high_school_statistics high_school_us_history high_school_world_history"
    " human_aging human_sexuality international_law jurisprudence logical_fallacies machine_learning"
    " management marketing medical_genetics miscellaneous moral_disputes moral_scenarios nutrition"
    " philosophy prehistory professional_accounting professional_law professional_medicine"
    " professional_psychology public_relations security_studies sociology us_foreign_policy virology"
    " world_religions"
).split()
BBH_TASKS = (
    "boolean_expressions causal_judgement date_understanding disambiguation_qa dyck_languages"
    " formal_fallacies geometric_shapes hyperbaton logical_deduction_five_objects"
    " logical_deduction_seven_objects logical_deduction_three_objects movie_recommendation"
    " multistep_arithmetic_two navigate object_counting penguins_in_a_table"
    " reasoning_about_colored_objects ruin_names salient_translation_error_detection snarks"
    " sports_understanding temporal_sequences tracking_shuffled_objects_five_objects"
    " tracking_shuffled_objects_seven_objects tracking_shuffled_objects_three_objects web_of_lies"
    " word_sorting"
).split()
TYDIQA_LANGUAGES = "ar bn en fi id ko ru sw te".split()  # Japanese and Thai have no gold passages


def _mmlu(name: str, shots: int) -> Preset:
    return Preset(
        name=name,
        tasks=tuple(Task(f"mmlu_{subject}", subject) for subject in MMLU_SUBJECTS),
        definitions=Path("mmlu/default"),
        splits=("test", "dev"),
        shots=shots,
        main_measure="acc",
        columns=("question", "choices", "answer"),
        source=f"{TULU}: MMLU {shots}-shot, all items, the mean over items. Tülu asks for 'The answer is:'",
    )


GSM8K = Preset(
    name="gsm8k",
    tasks=(Task("gsm8k_cot", "main"),),
    definitions=Path("gsm8k"),
    splits=("test",),
    shots=8,
    main_measure="exact_match/flexible-extract",
    limit=200,
    response_tokens=512,
    columns=("question", "answer"),
    source=f"{TULU}: GSM 8-shot CoT, 200 of 1,319 items, 512 tokens, the response's last number",
)
BBH = Preset(
    name="bbh",
    tasks=tuple(Task(f"bbh_cot_fewshot_{name}", name) for name in BBH_TASKS),
    definitions=Path("bbh/cot_fewshot"),
    splits=("test",),
    shots=3,
    main_measure="exact_match/get-answer",
    mean_over="tasks",
    limit=40,
    response_tokens=512,
    columns=("input", "target"),
    field="examples",
    source=f"{TULU}: BBH 3-shot CoT, 40 items a task, 512 tokens, the mean over tasks. Tülu ignores case and"
    " punctuation and takes the whole response where it says no 'So the answer is'; lm-eval does neither",
)
TYDIQA = Preset(
    name="tydiqa",
    tasks=tuple(Task(f"tydiqa_goldp_{language}", "secondary_task") for language in TYDIQA_LANGUAGES),
    definitions=Path("tydiqa"),
    splits=("validation", "train"),
    shots=1,
    main_measure="f1",
    mean_over="tasks",
    limit=100,
    response_tokens=50,
    columns=("id", "title", "context", "question", "answers"),
    source=f"{TULU}: TydiQA 1-shot with the gold passage, 100 items a language, 50 tokens, the mean over"
    " languages. Tülu cuts passages at 512 tokens and has one example a language; lm-eval draws one an item",
)
IFEVAL = Preset(
    name="ifeval",
    tasks=(Task("ifeval", "train"),),
    definitions=Path("ifeval"),
    splits=("train",),
    shots=0,
    main_measure="prompt_level_loose_acc",
    columns=("key", "prompt", "instruction_id_list", "kwargs"),
    packages=("langdetect", "immutabledict", "nltk"),
    source="Zhou et al. 2023, arXiv 2311.07911: 0-shot, all 541 prompts. Tülu 1 does not have it",
)
PRESETS = {p.name: p for p in (_mmlu("mmlu", 0), _mmlu("mmlu_5shot", 5), GSM8K, BBH, TYDIQA, IFEVAL)}
