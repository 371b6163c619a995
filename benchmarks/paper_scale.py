"""Time and memory of each step at the paper's size: N instructions × 20 recorded teachers × 5 bases.

    PYTHONPATH=. python benchmarks/paper_scale.py [--instructions 2500 10000] [--steps car_table …]
        [--folder FOLDER]

The paper has 100,000 instructions. The defaults are a tenth of that, and a fortieth to see how each step
grows. Answers and scores are synthetic, in recorded files as a user would have them. The bases have a fake
scorer (`FakeScorer` in _paper_study.py computes losses from the text at no cost), so `base_losses` measures
only staging and publishing. Everything else is real: Dagster runs the assets, and commands run as typed.

Each step runs in its own process. CPU and wall time of an asset are the sums over its partitions, without
imports; those of a command (check, sql, audit, unchanged, new_teacher) are of the whole process, as is peak
memory. Growth is the exponent of CPU time between the smallest and the largest size: 1 is linear. With
--folder the files and the store are kept and later calls reuse them (`--steps` runs single steps, after the
steps that they need); a step that is up to date then shows only the time to find that out.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ASSETS = ("raw_instructions", "responses", "rewards", "base_losses", "car_table", "car_beta_sweep")
RECIPES = ("top_k", "random", "best_teacher")
COMMANDS = ("check", "sql", "audit", "unchanged", "new_teacher")
STEPS = (*ASSETS, *RECIPES, "study_report", *COMMANDS)
ONE_RESPONSE = (
    "select teacher, turns from responses where response_id ="
    " (select response_id from rewards where teacher = 'teacher-00' limit 1)"
)


@dataclass(frozen=True)
class Spent:
    """Time and memory of a step; `note` is text from the step."""

    cpu: float
    wall: float
    peak_gib: float
    note: str


def main() -> None:
    """Print one Markdown table per size, with growth from the smallest size."""
    options = _options()
    if options.inside:
        _inside(options.inside, Path(options.folder))
        return
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(options.folder or temporary)
        found: dict[int, dict[str, Spent]] = {}
        for size in sorted(options.instructions):
            found[size] = _measured(root / str(size), size, options)
            _print(size, options, found)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instructions", type=int, nargs="+", default=[2_500, 10_000])
    parser.add_argument("--teachers", type=int, default=20)
    parser.add_argument("--bases", type=int, default=5)
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    parser.add_argument("--folder", help="keep the files and the store in this folder")
    parser.add_argument("--inside", help=argparse.SUPPRESS)  # the step that this process runs
    return parser.parse_args()


def _measured(folder: Path, size: int, options: argparse.Namespace) -> dict[str, Spent]:
    if not (folder / "study.yaml").exists():
        spent = _run([__file__, "--inside", f"build {size} {options.teachers} {options.bases}"], folder)
        print(f"{size:,} instructions: written in {spent.wall:.0f} s", file=sys.stderr, flush=True)
    found = {}
    for step in options.steps:
        if step == "new_teacher":
            _run([__file__, "--inside", "add_teacher"], folder)
        if step == "unchanged":
            _run(_command(step, folder), folder)  # run the whole study first: single steps may have left work
        found[step] = _run(_command(step, folder), folder)
        print(step, found[step], file=sys.stderr, flush=True)
    return found


def _command(step: str, folder: Path) -> list[str]:
    study = str(folder / "study.yaml")
    if step == "check":
        return ["-m", "jobs.run_study", study, "--check"]
    if step == "sql":
        return ["-m", "jobs.sql", study, "--command", ONE_RESPONSE, "--format", "csv"]
    if step == "audit":
        return ["-m", "jobs.audit", study, "ranking"]
    return [__file__, "--inside", step]


def _run(command: list[str], folder: Path) -> Spent:
    """Run the command and wait. A child's peak memory includes its parent's, so imports here stay light."""
    if command[0] == __file__:
        command = [*command, "--folder", str(folder)]
    places = {
        "PRECEPTOR_STUDY": folder / "study.yaml",
        "PRECEPTOR_STORE": folder / "store",
        "DAGSTER_HOME": folder / "dagster",
        "PYTHONPATH": Path(__file__).parent.parent,
    }
    environment = os.environ | {name: str(place) for name, place in places.items()}
    started = time.perf_counter()
    child = subprocess.Popen([sys.executable, *command], env=environment, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    said = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{' '.join(command)} ended with {child.returncode}:\n{said[-3000:]}")
    last = said.strip().splitlines()[-1] if said.strip() else ""
    told = json.loads(last) if last.startswith("{") else {}
    return Spent(
        told.get("cpu", usage.ru_utime + usage.ru_stime),
        told.get("wall", time.perf_counter() - started),
        usage.ru_maxrss / 2**20,
        told.get("note", ""),
    )


def _print(size: int, options: argparse.Namespace, found: dict[int, dict[str, Spent]]) -> None:
    least = min(found)
    print(f"\n{size:,} instructions × {options.teachers} teachers × {options.bases} bases\n")
    print("| step | CPU s | wall s | peak GiB | growth | |")
    print("| --- | --- | --- | --- | --- | --- |")
    for step, spent in found[size].items():
        growth = "–"
        if size > least:
            exponent = math.log(spent.cpu / found[least][step].cpu) / math.log(size / least)
            growth = f"{exponent:.2f}"
        figures = f"{spent.cpu:.1f} | {spent.wall:.1f} | {spent.peak_gib:.2f} | {growth}"
        print(f"| {step} | {figures} | {spent.note} |")


def _inside(step: str, folder: Path) -> None:
    """Run a step, in its own process."""
    from _paper_study import FakeScorer, add_teacher, build

    if step.startswith("build "):
        build(folder, *map(int, step.split()[1:]))
        return
    if step == "add_teacher":
        add_teacher(folder)
        return
    from resources.loss import LossResource

    LossResource._load = lambda _, base: FakeScorer(base)  # type: ignore[method-assign]
    if step in ("unchanged", "new_teacher"):
        _whole_study(folder, step)
    else:
        _partitions(step)


def _partitions(step: str) -> None:
    """Materialize all partitions of an asset, or one recipe; prints time and memory."""
    from assets.study import READ, STUDY
    from definitions import defs
    from jobs.home import open_instance
    from jobs.instance import synchronise
    from jobs.materialize import materialize
    from jobs.processes import after_a_step
    from jobs.steps import steps

    assert defs
    instance = open_instance(STUDY)
    list(synchronise(instance, READ))
    planned = [s for s in steps(STUDY) if step in (s.asset, s.key)]
    cpu, wall = time.process_time(), time.perf_counter()
    each = []
    for partition in planned:
        before = time.process_time()
        result = materialize(partition, instance)
        if result.failure:
            sys.exit(f"{partition}: {result.failure}")
        each.append(time.process_time() - before)
        after_a_step()
    spent = {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}
    note = f"{len(each)} partitions, {sorted(each)[len(each) // 2]:.2f} each" if len(each) > 1 else ""
    print(json.dumps(spent | {"note": note}))


def _whole_study(folder: Path, step: str) -> None:
    """Run `make study`; for a new teacher, print how much of the time its own steps took."""
    import dagster as dg
    import yaml

    from jobs import run_study
    from jobs.materialize import Result
    from jobs.steps import Step

    newest = yaml.safe_load((folder / "study.yaml").read_text())["teachers"][-1]["name"]
    materialize, own, runs = run_study.materialize, 0.0, 0

    def timed(partition: Step, instance: dg.DagsterInstance) -> Result:
        nonlocal own, runs
        before = time.process_time()
        result = materialize(partition, instance)
        runs += 1
        own += (time.process_time() - before) if newest in str(partition) else 0
        return result

    run_study.materialize = timed  # type: ignore[assignment]
    sys.argv = ["run_study", str(folder / "study.yaml")]
    try:
        run_study.main()
    except SystemExit as ended:
        if ended.code:
            raise
    note = f"{runs} runs of Dagster"
    if step == "new_teacher":
        note += f"; its own partitions {own:.1f}, all else {time.process_time() - own:.1f}"
    print(json.dumps({"note": note}))


if __name__ == "__main__":
    main()
