"""Supervised fine-tuning: the loss of the assistant's tokens, by TRL's SFTTrainer."""

from typing import TYPE_CHECKING, Any, Literal

from preceptor.tuning.objectives.objective import Objective, ObjectiveSettings

if TYPE_CHECKING:
    import polars as pl

    from preceptor.compute.conversation import ChatTemplate
    from preceptor.tuning.examples import Examples
    from preceptor.tuning.trainer import TrainerSetup


class Sft(ObjectiveSettings):
    """Learn every turn of the assistant, given all that comes before it."""

    kind: Literal["sft"] = "sft"


def sft_examples(
    _: Sft, tokenizer: Any, template: "ChatTemplate", rows: "pl.DataFrame", length: int, end: int
) -> "Examples":
    """The conversations as they are."""
    from preceptor.tuning.examples import make_examples

    return make_examples(tokenizer, template, rows, length, end)


def sft_trainer(_: Sft, setup: "TrainerSetup") -> Any:
    """TRL's SFTTrainer. What it does to examples and loss by itself (cuts, expert balancing) is off."""
    from trl import SFTConfig, SFTTrainer
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    config = setup.config(
        SFTConfig,
        max_length=None,  # the examples fit
        dataset_kwargs={"skip_prepare_dataset": True},  # they have ids and labels
        router_aux_loss_coef=0.0,  # a mixture of experts has the loss of its tokens alone, as any base
    )
    collator = DataCollatorForLanguageModeling(pad_token_id=0)  # padding is masked, whatever token it is
    trainer = setup.trainer(SFTTrainer, config, data_collator=collator)
    trainer.model_accepts_loss_kwargs = True  # TRL's loss takes the batch's tokens, whatever the model takes
    return trainer


SFT = Objective(settings=Sft, examples=sft_examples, trainer=sft_trainer)
