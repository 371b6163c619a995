"""What a tuning objective is: its settings in a study, its examples and its trainer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from preceptor.study.fields import Frozen

if TYPE_CHECKING:
    import polars as pl

    from preceptor.compute.conversation import ChatTemplate
    from preceptor.tuning.examples import Example, Examples
    from preceptor.tuning.trainer import TrainerSetup


class ObjectiveSettings(Frozen):
    """An objective's part of a tuning. A subclass fixes `kind`, its name, and adds its settings."""

    kind: str

    def identity(self) -> dict[str, Any]:
        """The settings that change the weights, for the fingerprint; a model or file is named by its hash.

        Defaults are left out, so that a new setting changes no old fingerprint.
        """
        return self.model_dump(mode="json", exclude={"kind"}, exclude_defaults=True)


def token_features(example: "Example") -> dict[str, Any]:
    """A row of the trainer's dataset: token ids and labels."""
    return {"input_ids": example.ids, "labels": example.labels}


@dataclass(frozen=True)
class Objective:
    """How rows become examples, and which trainer learns from them.

    `examples` is called with (settings, tokenizer, template, rows, length, end of turn) and `trainer` with
    (settings, setup). Every example has token ids and labels, by which the published model is checked; a
    subclass of Example may carry more, which `features` hands to the trainer's dataset.
    """

    settings: type[ObjectiveSettings]
    examples: Callable[[Any, Any, "ChatTemplate", "pl.DataFrame", int, int], "Examples"]
    trainer: Callable[[Any, "TrainerSetup"], Any]
    features: Callable[["Example"], dict[str, Any]] = token_features
    # Columns of the chosen rows that it reads besides the conversation; they count in the fingerprint.
    columns: tuple[str, ...] = ()
    # Whether the trainer's loss of a row is the mean loss of its learned tokens.
    loss_of_tokens: bool = True
    # Raise it when the same settings give other weights, or a setting's default changes.
    version: int = 1
