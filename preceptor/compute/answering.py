"""Steps that all local engines share: build a prompt's ids, find where an answer ends, cut it there."""

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
    """Token ids of the request up to its next answer. `rows` is the number of the model's embeddings.

    Raises TemplateProblem for an empty prompt, one that fills the context, or a token without an embedding.
    """
    text = render_prompt(tokenizer, template, Conversation(request.system, request.user, answered))
    ids = list(encode(tokenizer, text, add_special_tokens=False)["input_ids"])
    if not ids:
        raise TemplateProblem(f"{template.origin} renders a prompt without tokens")
    refuse_unknown(tokenizer, ids, rows)
    if len(ids) >= context:
        raise TemplateProblem(f"the prompt has {len(ids)} tokens, but the teacher's context is {context}")
    return ids


def end_tokens(generation_config: Any, tokenizer: Any, rows: int) -> frozenset[int]:
    """The end tokens that the model and its tokenizer declare, limited to those the model can generate."""
    declared = generation_config.eos_token_id
    ids = declared if isinstance(declared, list) else [declared]
    return frozenset(i for i in (*ids, tokenizer.eos_token_id) if i is not None and 0 <= i < rows)


def until_end(ids: Sequence[int], ends: frozenset[int]) -> int | None:
    """The number of tokens before the first end token; None if there is none."""
    return next((n for n, token in enumerate(ids) if token in ends), None)


def before_stop_text(text: str, stops: Sequence[str]) -> str:
    """The text before the earliest stop text."""
    return text[: min((text.find(stop) for stop in stops if stop in text), default=len(text))]
