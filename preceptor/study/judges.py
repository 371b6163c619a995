"""Judges of answers: a local classifier, an annotator of alpaca-eval, or a prompted language model."""

from collections.abc import Mapping, Set
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from preceptor.study.endpoint import Endpoint
from preceptor.study.fields import (
    ExistingPath,
    Model,
    Name,
    PromptFormat,
    Real,
    Whole,
    existing_path,
)

# The request parameters that a configuration of alpaca-eval may set; structured_outputs is vLLM's.
ANNOTATED = {"temperature", "top_p", "logprobs", "top_logprobs", "logit_bias", "stop", "tools", "tool_choice"}
ANNOTATED |= {"structured_outputs"}


class ClassifierJudge(Model):
    """A sequence classifier that scores both responses. The win probability is σ(score - reference's)."""

    name: Name
    engine: Literal["sequence_classification"]
    prompt_format: PromptFormat | Literal["pair"] = "own"
    label: Annotated[Whole, Field(ge=0)] | None = None


class AskedJudge(Endpoint):
    """A language model behind an endpoint; `revision` names the served weights, if known."""

    name: Name
    revision: str | None = None
    seed: Annotated[Whole, Field(ge=0)] = 0

    @property
    def served(self) -> dict[str, Any]:
        """The endpoint's model as part of the identity of verdicts."""
        return {**self.identity, "revision": self.revision}

    @property
    def model_name(self) -> str:
        """The model, its revision if known, and where it is served."""
        revision = "" if self.revision is None else f"@{self.revision}"
        return f"{self.model}{revision} at {self.identity['served_by']}"


def _annotator(value: str, info: ValidationInfo) -> str:
    """A name that alpaca-eval knows stays unchanged; a value that looks like a path must exist."""
    if not value.startswith((".", "/", "~")):
        return value
    return existing_path(value, info)


class AnnotatorJudge(AskedJudge):
    """An annotator configuration of alpaca-eval: its prompt, order and parser. The endpoint gives the model.

    `annotator` is the name of a configuration of alpaca-eval, or a folder with a configs.yaml.
    """

    PARAMETERS: ClassVar[Set[str]] = ANNOTATED | {"max_tokens", "seed"}

    engine: Literal["alpaca_eval"]
    annotator: Annotated[str, AfterValidator(_annotator)] = "weighted_alpaca_eval_gpt4_turbo"
    order: Literal["random", "both"] = "random"


class PromptedJudge(AskedJudge):
    """A model that gets a prompt from a file and answers in JSON or with a marked label.

    `prompt` replaces the protocol's built-in prompt file. `order` decides which answer is shown first in a
    comparison: `both` asks once in each order, `random` draws one order per item. `n` repeats each question.
    """

    SETTINGS: ClassVar[Mapping[str, str]] = {
        **{name: name for name in ("temperature", "seed", "max_tokens")},
        "max_completion_tokens": "max_tokens",
    }

    engine: Literal["openai"]
    prompt: ExistingPath | None = None
    order: Literal["both", "random"] = "both"
    temperature: Annotated[Real, Field(ge=0, le=2)] = 0.0
    n: Annotated[Whole, Field(gt=0, le=100)] = 1
    max_tokens: Annotated[Whole, Field(gt=0)] = 2048

    @model_validator(mode="after")
    def _draws_differ(self) -> Self:
        if self.n > 1 and self.temperature == 0:
            raise ValueError(
                "n above 1 needs a temperature above 0, because greedy verdicts are all the same"
            )
        return self


PairwiseJudge = Annotated[ClassifierJudge | AnnotatorJudge | PromptedJudge, Field(discriminator="engine")]
