"""The teachers whose responses a study compares, by engine."""

from collections.abc import Mapping, Set
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from preceptor.study.conversations import Conversations
from preceptor.study.endpoint import Endpoint
from preceptor.study.fields import (
    Described,
    Dtype,
    ExistingPath,
    Model,
    PromptFormat,
    Real,
    Sampling,
    Whole,
)


class TeacherFacts(Described):
    """The terms of a teacher's outputs and its cost, if known.

    Teachers with the same `style` share an answering style, a parent model or a prompt. They are not
    independent evidence of what predicts a good teacher.
    """

    style: str | None = None
    """What similar teachers share: an answering style, a parent model or a prompt."""
    terms: str | None = None
    """The licence or terms of its outputs."""
    price_per_million_tokens: Annotated[Real, Field(ge=0)] | None = None
    """The price of a million tokens, for the record."""
    gpu: str | None = None
    """The GPU that it needs, for the record."""


class RecordedTeacher(TeacherFacts, Conversations):
    """A teacher whose responses are in a file, matched to instructions by id or by text."""

    engine: Literal["recorded"]
    join: Literal["id", "instruction"] | None = None
    """How records are matched to instructions: `id` for FastChat's files, else `instruction`."""

    @property
    def joined_on(self) -> Literal["id", "instruction"]:
        """How records are matched: `join` if set, else by id for FastChat's files, which have no text."""
        return self.join or ("id" if self.format == "fastchat" else "instruction")


class LocalTeacher(TeacherFacts, Model):
    """A teacher whose model runs here. Every setting of its engine changes its rows, except `NO_ROWS`."""

    NO_ROWS: ClassVar[Set[str]] = frozenset()

    prompt_format: PromptFormat = "own"
    sampling: Sampling = Sampling()


class TransformersTeacher(LocalTeacher):
    """A teacher run by transformers, on a CPU or one GPU."""

    engine: Literal["transformers"]


class VllmTeacher(LocalTeacher):
    """A teacher run by vLLM in a separate process; `adapter` is a LoRA folder."""

    NO_ROWS: ClassVar[Set[str]] = frozenset({"tensor_parallel_size"})

    engine: Literal["vllm"]
    dtype: Dtype = "bfloat16"
    quantization: str | None = None
    """A quantization that vLLM knows."""
    adapter: ExistingPath | None = None
    """A LoRA folder."""
    tensor_parallel_size: Annotated[Whole, Field(gt=0)] = 1
    """The number of GPUs that the model is split over."""


class OpenAITeacher(TeacherFacts, Endpoint):
    """A teacher behind an OpenAI-compatible endpoint."""

    SETTINGS: ClassVar[Mapping[str, str]] = {
        "max_tokens": "sampling.max_new_tokens",
        "max_completion_tokens": "sampling.max_new_tokens",
        **{name: f"sampling.{name}" for name in ("temperature", "top_p", "top_k", "stop", "seed")},
    }
    PARAMETERS: ClassVar[Set[str]] = SETTINGS.keys() - {"max_completion_tokens"}

    engine: Literal["openai"]
    sampling: Sampling = Sampling()

    @property
    def given(self) -> set[str]:
        """The parameters that the study sets in `sampling`."""
        fields = {f"sampling.{field}" for field in self.sampling.model_fields_set}
        return {name for name, setting in self.SETTINGS.items() if setting in fields}


GeneratingTeacher = TransformersTeacher | VllmTeacher | OpenAITeacher
AnyTeacher = RecordedTeacher | GeneratingTeacher
Teacher = Annotated[AnyTeacher, Field(discriminator="engine")]
