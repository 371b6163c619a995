"""Texts to token ids that the model can take: a tokenizer may give more than the model has embeddings for.

A tokenizer's regular expression may also never end on a text, which Rust tells by a panic: no Exception.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from preceptor.compute.conversation import Conversation, TemplateProblem, render_text, template_of

PAIR = "pair"  # a prompt format without a template: instruction and response as two texts
# What makes a bad regular expression try for ever: long runs that nearly match.
RUNS = tuple(run + end for run in ("a" * 60, "7" * 60, " " * 60, "ab " * 20, "\n" * 60) for end in ("!", "b"))


class PanicProblem(TemplateProblem):
    """A text that the tokenizer gives up on."""


@contextmanager
def told_of_panics(tokenizer: Any) -> Iterator[None]:
    """A panic of the tokenizer as a PanicProblem: Rust's own is no Exception, and would end the process.

    So is its error, a bare Exception, of a vocabulary that its model cannot use.
    """
    try:
        yield
    except BaseException as error:
        if is_panic(error):
            why = "a regular expression in its tokenizer.json does not end"
        elif type(error) is Exception:
            why = "its tokenizer.json and tokenizer_config.json may not be of one model"
        else:
            raise
        raise PanicProblem(
            f"{tokenizer.name_or_path}: the tokenizer gives up on this text"
            f" ({' '.join(str(error).split())}): {why}"
        ) from None


def is_panic(error: BaseException) -> bool:
    """Whether Rust panicked; its type cannot be imported."""
    return type(error).__name__ == "PanicException"


def embedding_rows(model: Any) -> int:
    """How many token ids a model knows: each has a row in its embeddings, read and written."""
    rows = int(model.get_input_embeddings().weight.shape[0])
    written = model.get_output_embeddings()
    return rows if written is None else min(rows, int(written.weight.shape[0]))


def encode(tokenizer: Any, *texts: str, **options: Any) -> Mapping[str, list[int]]:
    """A text's, or a pair of texts', ids. Raises PanicProblem."""
    with told_of_panics(tokenizer):
        encoded: Mapping[str, list[int]] = tokenizer(*texts, **options)
    return encoded


def refuse_unknown(tokenizer: Any, ids: Sequence[int], rows: int) -> None:
    """Raise TemplateProblem for an id that has no row in the model's embeddings."""
    if (highest := max(ids, default=0)) >= rows:
        raise TemplateProblem(
            f"the text holds {tokenizer.convert_ids_to_tokens(highest)!r}, token {highest:,}, but the model"
            f" has embeddings for {rows:,} tokens"
        )


def tokenizer_problem(tokenizer: Any, rows: int, prompt_format: str) -> str | None:
    """Why a tokenizer cannot serve a model of so many embeddings; None where it can.

    Special tokens without an embedding that nothing writes are no problem (Gemma-3's image token): a text
    that spells one is an error of its own row.
    """
    try:
        written = _written(tokenizer, prompt_format)
    except PanicProblem as problem:
        return str(problem)
    vocabulary = tokenizer.get_vocab()
    size = max(vocabulary.values(), default=-1) + 1
    special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    idle = special - set(written) - {tokenizer.bos_token_id}
    needed = [token for token, number in vocabulary.items() if number >= rows and number not in idle]
    if not needed:
        return None
    return (
        f"the tokenizer has {size:,} tokens, the model's embeddings {rows:,}; add rows to them"
        f" (resize_token_embeddings) or take the tokens out ({', '.join(sorted(needed)[:3])})"
    )


def _written(tokenizer: Any, prompt_format: str) -> list[int]:
    """Ids of what the prompt format itself writes, and of texts that show whether a tokenizer ends."""
    ids: list[int] = []
    for text in ("Q", *RUNS):
        ids += encode(tokenizer, text)["input_ids"]
    if prompt_format == PAIR:
        return ids + list(encode(tokenizer, "Q", "A")["input_ids"])
    try:
        template = template_of(tokenizer, prompt_format)
        text = render_text(tokenizer, template, Conversation(None, ("Q",), ("A",)))
    except TemplateProblem:  # each row, or who loads the model, says so
        return ids
    return ids + list(encode(tokenizer, text, add_special_tokens=False)["input_ids"])
