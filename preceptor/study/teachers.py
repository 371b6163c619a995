"""Whose responses a study compares, and which engine gives them."""

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
    """The terms of a teacher's outputs and what running it costs, if known.

    `style` is what teachers with the same text share (a style, a parent model, a prompt): they are no
    independent evidence of what predicts a good teacher.
    """

    style: str | None = None
    """What makes teachers alike: an answering style, a parent model, a prompt."""
    terms: str | None = None
    """The licence or terms of its outputs."""
    price_per_million_tokens: Annotated[Real, Field(ge=0)] | None = None
    """What a million tokens cost, for the record."""
    gpu: str | None = None
    """The GPU that it needs, for the record."""


class RecordedTeacher(TeacherFacts, Conversations):
    """A teacher whose responses somebody already has, joined to instructions by id or by text."""

    engine: Literal["recorded"]
    join: Literal["id", "instruction"] | None = None
    """What records are matched by; `id` for FastChat's files, else `instruction`."""

    @property
    def joined_on(self) -> Literal["id", "instruction"]:
        """What records are matched by: what the study says, else id for FastChat's files (no text)."""
        return self.join or ("id" if self.format == "fastchat" else "instruction")


class LocalTeacher(TeacherFacts, Model):
    """A teacher whose weights are run here. Every setting of its engine changes its rows, but `NO_ROWS`."""

    NO_ROWS: ClassVar[Set[str]] = frozenset()

    prompt_format: PromptFormat = "own"
    sampling: Sampling = Sampling()


class TransformersTeacher(LocalTeacher):
    """A teacher run here by transformers, on a CPU or one GPU."""

    engine: Literal["transformers"]


class VllmTeacher(LocalTeacher):
    """A teacher run here by vLLM, in a process of its own; `adapter` is a LoRA folder."""

    NO_ROWS: ClassVar[Set[str]] = frozenset({"tensor_parallel_size"})

    engine: Literal["vllm"]
    dtype: Dtype = "bfloat16"
    quantization: str | None = None
    """A quantization that vLLM knows."""
    adapter: ExistingPath | None = None
    """A LoRA folder."""
    tensor_parallel_size: Annotated[Whole, Field(gt=0)] = 1
    """How many GPUs hold the model together."""


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
        said = {f"sampling.{field}" for field in self.sampling.model_fields_set}
        return {name for name, setting in self.SETTINGS.items() if setting in said}


GeneratingTeacher = TransformersTeacher | VllmTeacher | OpenAITeacher
AnyTeacher = RecordedTeacher | GeneratingTeacher
Teacher = Annotated[AnyTeacher, Field(discriminator="engine")]
