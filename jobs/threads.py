"""How many threads a process computes with on a CPU, where nobody has said.

torch takes a thread per core. For models of a few million parameters that costs more than it gives: the
threads wait for each other, and one alone made a small study twice as fast.
"""

import os
from pathlib import Path

from preceptor.study.fields import Model
from preceptor.study.schema import Study

VARIABLE = "OMP_NUM_THREADS"
SMALL = 20_000_000  # bytes of weights: five million parameters in float32
GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


def set_threads(study: Study, processes: int) -> str | None:
    """Set OMP_NUM_THREADS for this process and its workers, and say so; before torch is imported.

    One thread where every model is small; else the cores are shared among the processes. None where it is
    set already, where there is a GPU, which leaves the CPU little to do, and where one process has all cores.
    """
    if os.environ.get(VARIABLE) or any(Path(device).exists() for device in GPU_DEVICES):
        return None
    if all(_small(model) for model in _models(study)):
        threads, why = 1, "every model is small"
    elif processes > 1:
        threads, why = (
            max(1, len(os.sched_getaffinity(0)) // processes),
            f"{processes} processes share the cores",
        )
    else:
        return None
    os.environ[VARIABLE] = str(threads)
    noun = "thread" if threads == 1 else "threads"
    return f"{threads} {noun} a process, since {why}; {VARIABLE} sets another number"


def _models(study: Study) -> list[str]:
    """The models that are loaded here, each a folder or an id on a hub."""
    judges = [evaluation.local_judge for evaluation in study.evaluations]
    parts = [*study.teachers, *study.bases, *study.reward_models, *judges]
    return [part.model for part in parts if isinstance(part, Model)]


def _small(model: str) -> bool:
    """Whether a folder's weights are; of what lies on a hub nobody knows."""
    weights = [file.stat().st_size for file in Path(model).glob("*.safetensors")]
    return bool(weights) and sum(weights) <= SMALL
