"""The default number of CPU threads per process.

torch uses one thread per core. For models of a few million parameters the threads mostly wait for each other:
a single thread made a small study twice as fast.
"""

import os
from pathlib import Path

from preceptor.study.fields import Model
from preceptor.study.schema import Study

VARIABLE = "OMP_NUM_THREADS"
SMALL = 20_000_000  # bytes of weights: five million parameters in float32
GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


def set_threads(study: Study, processes: int) -> str | None:
    """Set OMP_NUM_THREADS for this process and its workers, before torch is imported; returns a sentence.

    One thread if every model is small, else the cores are divided among the processes. Returns None and sets
    nothing if the variable is set, if there is a GPU, or if one process uses all cores.
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
    return f"{threads} {noun} per process, because {why}; set {VARIABLE} for another number"


def _models(study: Study) -> list[str]:
    """The models that are loaded here, each a folder or a hub id."""
    judges = [evaluation.local_judge for evaluation in study.evaluations]
    parts = [*study.teachers, *study.bases, *study.reward_models, *judges]
    return [part.model for part in parts if isinstance(part, Model)]


def _small(model: str) -> bool:
    """Whether a folder's weights are small. A model on a hub counts as large, since its size is unknown."""
    weights = [file.stat().st_size for file in Path(model).glob("*.safetensors")]
    return bool(weights) and sum(weights) <= SMALL
