"""What every local engine does alike: a turn's prompt as ids, where answers end, what is kept of them."""

from collections.abc import Sequence
from typing import Any

from preceptor.compute.conversation import ChatTemplate, Conversation, TemplateProblem, render_prompt
from preceptor.compute.request import Request
from preceptor.compute.vocabulary import encode, refuse_unknown


def prompt_ids(
    tokenizer: Any,
    template: ChatTemplate,
    request: Request,
    answered: tuple[str, ...],
    context: int,
    rows: int,
) -> list[int]:
    """Ids of the request up to its next answer, for a model with so many embeddings.

    Raises TemplateProblem for none, where no room is left behind them, or where the model does not know one.
    """
    text = render_prompt(tokenizer, template, Conversation(request.system, request.user, answered))
    ids = list(encode(tokenizer, text, add_special_tokens=False)["input_ids"])
    if not ids:
        raise TemplateProblem(f"{template.origin} makes a prompt without a token")
    refuse_unknown(tokenizer, ids, rows)
    if len(ids) >= context:
        raise TemplateProblem(f"the prompt has {len(ids)} tokens, but the teacher sees {context}")
    return ids


def end_tokens(generation_config: Any, tokenizer: Any, rows: int) -> frozenset[int]:
    """The end tokens that the model and its tokenizer declare, of those that the model can say."""
    declared = generation_config.eos_token_id
    ids = declared if isinstance(declared, list) else [declared]
    return frozenset(i for i in (*ids, tokenizer.eos_token_id) if i is not None and 0 <= i < rows)


def until_end(ids: Sequence[int], ends: frozenset[int]) -> int | None:
    """How many tokens stand before the first end token; None where there is none."""
    return next((n for n, token in enumerate(ids) if token in ends), None)


def before_stop_text(said: str, stops: Sequence[str]) -> str:
    """What was said before the earliest stop text."""
    return said[: min((said.find(stop) for stop in stops if stop in said), default=len(said))]
