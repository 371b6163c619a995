"""`python -m studies.demo.zoo.build FOLDER`: make the demo's data and train all of its models again.

Seeded; about twenty minutes on two cores. What lies in studies/demo is what this wrote.
"""

import argparse
import json
import logging
import multiprocessing
import shutil
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

from preceptor.compute.request import Decoding, Request
from studies.demo.zoo.graders import ANSWER_TOKENS, ANSWERS_AT_ONCE, make_grader
from studies.demo.zoo.language_models import make_reader, make_talker
from studies.demo.zoo.models import BASES, JUDGE, REFERENCE, REWARD_MODEL, TEACHERS, Grader, Reader, Talker
from studies.demo.zoo.splits import distinct_tasks, write_tasks

INSTRUCTIONS = {"tuning": 600, "evaluation": 300}
SEED = 5


def build(folder: Path, processes: int) -> None:
    """Write instructions.jsonl, benchmark.jsonl, reference.jsonl, teachers/, bases/, reward-model/, judge/"""
    write_tasks(folder / "instructions.jsonl", distinct_tasks("tuning", SEED, INSTRUCTIONS["tuning"]))
    write_tasks(folder / "benchmark.jsonl", distinct_tasks("evaluation", SEED, INSTRUCTIONS["evaluation"]))
    # The longest first, so that no process is left alone with one at the end.
    with _pool(processes) as pool:
        models: list[Talker | Reader] = [REFERENCE, *BASES, *TEACHERS]
        made = sorted(models, key=lambda model: -model.size.layers)
        _wait([pool.submit(_language_model, model, place(folder, model)) for model in made])
        teachers = [place(folder, teacher) for teacher in TEACHERS]
        graders = (REWARD_MODEL, JUDGE)
        jobs = [pool.submit(_grader, grader, teachers, folder / grader.name) for grader in graders]
        _wait([*jobs, pool.submit(_write_reference, folder)])
    shutil.rmtree(place(folder, REFERENCE))  # only its answers are wanted


def place(folder: Path, model: Talker | Reader) -> Path:
    """Where a model's folder lies."""
    kind = "bases" if isinstance(model, Reader) else "teachers" if model in TEACHERS else "."
    return folder / kind / model.name


def _pool(processes: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")  # torch's threads do not survive a fork
    return ProcessPoolExecutor(processes, mp_context=context, initializer=_begin)


def _begin() -> None:
    import torch

    torch.set_num_threads(1)
    logging.basicConfig(level=logging.INFO, format="%(message)s")


def _wait(jobs: list[Future[None]]) -> None:
    for job in jobs:
        job.result()


def _language_model(model: Talker | Reader, folder: Path) -> None:
    if isinstance(model, Reader):
        make_reader(model, folder)
    else:
        make_talker(model, folder)


def _grader(grader: Grader, teachers: list[Path], folder: Path) -> None:
    make_grader(grader, teachers, folder)


def _write_reference(folder: Path) -> None:
    """The reference's answers to the benchmark, in AlpacaEval's format."""
    from preceptor.compute.generation import TransformersGenerator

    generator = TransformersGenerator(
        str(place(folder, REFERENCE)),
        decoding=Decoding(max_new_tokens=ANSWER_TOKENS),
        device="cpu",
        batch_size=ANSWERS_AT_ONCE,
    )
    lines = (folder / "benchmark.jsonl").read_text(encoding="utf-8").splitlines()
    asked = [json.loads(line)["instruction"] for line in lines]
    answers = generator.generate([Request(None, (text,), 0) for text in asked])
    rows = [
        {"instruction": text, "output": answer.turns[0], "generator": REFERENCE.name}
        for text, answer in zip(asked, answers, strict=True)
    ]
    (folder / "reference.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def main() -> None:
    """Build into the folder named on the command line."""
    parser = argparse.ArgumentParser(description="Make the miniature's data and models again.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    build(options.folder, options.processes)


if __name__ == "__main__":
    main()
