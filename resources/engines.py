"""The engines that generate text. The table ENGINES loads both teachers and students.

To add an engine, write a `Generator` (preceptor/compute/request.py) in `preceptor`, a teacher class in
preceptor/study/teachers.py, and an entry in ENGINES.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from preceptor.compute.request import Decoding, Generator
from preceptor.study.fields import Sampling
from preceptor.study.judges import ClassifierJudge
from preceptor.study.reward_models import ClassifierRewardModel
from preceptor.study.schema import Base
from preceptor.study.teachers import (
    GeneratingTeacher,
    LocalTeacher,
    OpenAITeacher,
    TransformersTeacher,
    VllmTeacher,
)
from resources.gpu import claim_gpus
from resources.model import hold, let_go

if TYPE_CHECKING:
    from preceptor.compute.reward import RewardScorer

MODEL = {"model", "revision", "dtype", "prompt_format", "prompt_date", "max_length"}
VLLM = MODEL | {"quantization", "adapter", "tensor_parallel_size"}


class GeneratingResource(dg.ConfigurableResource):
    """Settings for generating on this machine. They change rows by rounding at most.

    vLLM uses the share `memory_share` of each GPU's memory. It counts as dead after `silent_seconds` without
    output. With `retry_failed`, rows with an error are generated again.
    """

    device: str = "auto"
    batch_size: int = 64
    retry_failed: bool = False
    memory_share: float = 0.9
    prefix_caching: bool = True
    enforce_eager: bool = False
    start_seconds: float = 1800.0
    silent_seconds: float = 600.0

    def load_teacher(self, teacher: GeneratingTeacher) -> Generator:
        """Load a teacher's engine."""
        decoding = Decoding(**teacher.sampling.model_dump(exclude={"n", "seed"}))
        return ENGINES[teacher.engine].load(teacher, decoding, self)

    def load_student(
        self, engine: str, base: Base, folder: str, sampling: Sampling, prompt_format: str
    ) -> Generator:
        """Load a tuned model as a teacher whose model is `folder`, with the settings of its base."""
        # Not validated: Preceptor wrote the folder, and the other settings were validated with the study.
        student = ENGINES[engine].teacher.model_construct(
            name=base.name,
            engine=engine,
            model=folder,
            prompt_format=prompt_format,
            sampling=sampling,
            **{name: getattr(base, name) for name in ("dtype", "prompt_date", "max_length")},
        )
        return self.load_teacher(student)


def _transformers(teacher: TransformersTeacher, decoding: Decoding, here: GeneratingResource) -> Generator:
    claim_gpus(here.device)
    from preceptor.compute.generation import TransformersGenerator

    options = {"device": here.device, "batch_size": here.batch_size}
    return TransformersGenerator(**teacher.model_dump(include=MODEL), decoding=decoding, **options)


def _vllm(teacher: VllmTeacher, decoding: Decoding, here: GeneratingResource) -> Generator:
    from preceptor.engines.vllm_generator import Machine, VllmGenerator

    let_go()
    claim_gpus(here.device, teacher.tensor_parallel_size)
    machine = Machine(
        here.memory_share, here.prefix_caching, here.enforce_eager, here.start_seconds, here.silent_seconds
    )
    return VllmGenerator(**teacher.model_dump(include=VLLM), decoding=decoding, machine=machine)


def _openai(teacher: OpenAITeacher, decoding: Decoding, _: GeneratingResource) -> Generator:
    from preceptor.endpoint.generator import EndpointGenerator

    return EndpointGenerator(teacher, decoding)


@dataclass(frozen=True)
class Engine:
    """An engine: the class that declares its teachers in a study, and the function that loads them.

    `load` imports heavy libraries itself, so that this module does not.
    """

    teacher: type[Any]
    load: Callable[[Any, Decoding, GeneratingResource], Generator]

    @property
    def runs_folders(self) -> bool:
        """Whether the engine runs a model from a local folder, and so can run students."""
        return issubclass(self.teacher, LocalTeacher)


ENGINES = {
    "transformers": Engine(TransformersTeacher, _transformers),
    "vllm": Engine(VllmTeacher, _vllm),
    "openai": Engine(OpenAITeacher, _openai),
}


def load_classifier(
    model: ClassifierRewardModel | ClassifierJudge, device: str, tokens_per_batch: int
) -> "RewardScorer":
    """Load a sequence classifier. It stays loaded until another model is loaded."""
    claim_gpus(device)
    from preceptor.compute.reward import RewardScorer

    settings = model.model_dump(exclude={"name", "engine"})
    options = {"device": device, "tokens_per_batch": tokens_per_batch}
    return hold((model, *options.values()), lambda: RewardScorer(**settings, **options))
