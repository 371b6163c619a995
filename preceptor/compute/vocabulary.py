"""Convert texts to token ids that the model has embeddings for. A tokenizer may know more tokens.

A tokenizer's regular expression may also run without end on a text. Rust then panics, which is not an
Exception in Python.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from preceptor.compute.conversation import Conversation, TemplateProblem, render_text, template_of

PAIR = "pair"  # a prompt format without a template: instruction and response as two texts
# Long runs that almost match make a bad regular expression backtrack without end.
RUNS = tuple(run + end for run in ("a" * 60, "7" * 60, " " * 60, "ab " * 20, "\n" * 60) for end in ("!", "b"))


class PanicProblem(TemplateProblem):
    """A text that the tokenizer fails on."""


@contextmanager
def told_of_panics(tokenizer: Any) -> Iterator[None]:
    """Turn a panic of the tokenizer into a PanicProblem. Otherwise it would end the process.

    The bare Exception that a tokenizer raises for an unusable vocabulary is converted too.
    """
    try:
        yield
    except BaseException as error:
        if is_panic(error):
            why = "a regular expression in its tokenizer.json never ends"
        elif type(error) is Exception:
            why = "its tokenizer.json and tokenizer_config.json may belong to different models"
        else:
            raise
        raise PanicProblem(
            f"{tokenizer.name_or_path}: the tokenizer fails on this text"
            f" ({' '.join(str(error).split())}): {why}"
        ) from None


def is_panic(error: BaseException) -> bool:
    """Whether Rust panicked; its type cannot be imported."""
    return type(error).__name__ == "PanicException"


def embedding_rows(model: Any) -> int:
    """The number of token ids that have both an input and an output embedding."""
    rows = int(model.get_input_embeddings().weight.shape[0])
    written = model.get_output_embeddings()
    return rows if written is None else min(rows, int(written.weight.shape[0]))


def encode(tokenizer: Any, *texts: str, **options: Any) -> Mapping[str, list[int]]:
    """Token ids of a text or a pair of texts. Raises PanicProblem."""
    with told_of_panics(tokenizer):
        encoded: Mapping[str, list[int]] = tokenizer(*texts, **options)
    return encoded


def refuse_unknown(tokenizer: Any, ids: Sequence[int], rows: int) -> None:
    """Raise TemplateProblem for an id without an embedding. `rows` is the number of embeddings."""
    if (highest := max(ids, default=0)) >= rows:
        raise TemplateProblem(
            f"the text contains {tokenizer.convert_ids_to_tokens(highest)!r}, token {highest:,}, but the"
            f" model has embeddings for {rows:,} tokens"
        )


def tokenizer_problem(tokenizer: Any, rows: int, prompt_format: str) -> str | None:
    """Why a tokenizer does not fit a model with `rows` embeddings; None if it fits.

    An unused special token may lack an embedding (Gemma-3's image token). A text that contains it becomes an
    error of its row.
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
        f"the tokenizer has {size:,} tokens, but the model has {rows:,} embeddings; add embeddings"
        f" (resize_token_embeddings) or remove the tokens ({', '.join(sorted(needed)[:3])})"
    )


def _written(tokenizer: Any, prompt_format: str) -> list[int]:
    """Ids of the prompt format's own text, and of texts that test whether the tokenizer ends."""
    ids: list[int] = []
    for text in ("Q", *RUNS):
        ids += encode(tokenizer, text)["input_ids"]
    if prompt_format == PAIR:
        return ids + list(encode(tokenizer, "Q", "A")["input_ids"])
    try:
        template = template_of(tokenizer, prompt_format)
        text = render_text(tokenizer, template, Conversation(None, ("Q",), ("A",)))
    except TemplateProblem:  # reported by each row, or when the model is loaded
        return ids
    return ids + list(encode(tokenizer, text, add_special_tokens=False)["input_ids"])
