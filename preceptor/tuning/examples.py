"""Turn conversations into training examples: tokenized as for scoring, plus the token that ends each turn."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from preceptor.compute.conversation import (
    TEMPLATES,
    ChatTemplate,
    Conversation,
    Rendered,
    TemplateProblem,
    render,
    template_of,
)
from preceptor.compute.tokens import Tokens, tokenize, tokenize_each, truncate
from preceptor.compute.vocabulary import refuse_unknown, told_of_panics
from preceptor.tuning.task import CUT, TuningError

IGNORED = -100  # a label that the loss leaves out


@dataclass(frozen=True)
class Example:
    """Token ids and labels. Labels are the ids in the assistant's turns and IGNORED elsewhere.

    The end of turn of a response that was cut at its teacher's limit is not learned, because the response did
    not end there.
    """

    response_id: str
    ids: list[int]
    labels: list[int]


@dataclass(frozen=True)
class Examples:
    """The examples, and the truncated and the failed responses, each with the reason."""

    rows: list[Example] = field(default_factory=list)
    truncated: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        """Tokens that count in the loss, in one epoch."""
        return sum(label != IGNORED for row in self.rows for label in row.labels)


def end_of_turn(tokenizer: Any, prompt_format: str, base: str) -> int:
    """The token that the format writes after an assistant's turn.

    Raises TuningError if it is not a special token, because the student would never learn to stop.
    """
    end, closing = _end(tokenizer, prompt_format)
    if end is not None:
        return end
    raise TuningError(
        f"bases.{base}.prompt_format: {prompt_format!r} ends a turn with {closing!r}, which does not begin"
        " with a special token of the base's tokenizer, so the student would never learn to stop;"
        f" {_advice(tokenizer)}"
    )


def make_examples(
    tokenizer: Any, template: ChatTemplate, rows: pl.DataFrame, length: int, end: int
) -> Examples:
    """An Example of at most `length` tokens from every row. Failed rows are listed with the reason."""
    examples = Examples()
    rendered = dict(_rendered(tokenizer, template, rows, examples.failed))
    turns = dict(zip(rows["response_id"], rows["turns"].list.len(), strict=True))
    cut = set(rows.filter(pl.col("finish_reason") == CUT)["response_id"])
    for response_id, tokens in tokenize_each(tokenizer, rendered, True, examples.failed):
        fitted = truncate(tokens, length, tokenizer.bos_token_id)
        fault = _fault(tokenizer, tokens, fitted, turns[response_id], end)
        if fault is not None:
            examples.failed[response_id] = fault
            continue
        if len(tokens.ids) > length:
            examples.truncated[response_id] = f"{len(tokens.ids):,} tokens, of which {length:,} fit"
        examples.rows.append(_example(response_id, fitted, response_id in cut))
    return examples


def known_only(examples: Examples, tokenizer: Any, vocabulary: int) -> Examples:
    """The examples whose tokens all have an embedding. `vocabulary` is the number of embeddings."""
    known = []
    for row in examples.rows:
        try:
            refuse_unknown(tokenizer, row.ids, vocabulary)
        except TemplateProblem as problem:
            examples.failed[row.response_id] = str(problem)
            examples.truncated.pop(row.response_id, None)
        else:
            known.append(row)
    return replace(examples, rows=known)


def _rendered(
    tokenizer: Any, template: ChatTemplate, rows: pl.DataFrame, failed: dict[str, str]
) -> Iterator[tuple[str, Rendered]]:
    for row in rows.iter_rows(named=True):
        response_id, user, turns = row["response_id"], row["user"], row["turns"]
        if len(user) != len(turns):
            failed[response_id] = f"{len(user)} user turns, but {len(turns)} response turns"
            continue
        try:
            yield response_id, render(tokenizer, template, Conversation(row["system"], (*user,), (*turns,)))
        except TemplateProblem as problem:
            failed[response_id] = str(problem)


def _fault(tokenizer: Any, tokens: Tokens, fitted: Tokens, turns: int, end: int) -> str | None:
    """Why a row would teach nothing or something wrong; None for a valid row."""
    ends = sum(tokens.ids[position] == end for position in tokens.response)
    if ends > turns:
        return f"the response's text contains {tokenizer.convert_ids_to_tokens(end)!r}, which ends a turn"
    if ends < turns:
        return f"a turn does not end with {tokenizer.convert_ids_to_tokens(end)!r}"
    if fitted.ending.issuperset(fitted.response):
        return "the response has no token that can be learned"
    return None


def _example(response_id: str, tokens: Tokens, cut: bool) -> Example:
    """An Example of these tokens. A cut response's example ends with the last token that is learned."""
    learned = set(tokens.response) - (tokens.ending if cut else set())
    ids = tokens.ids[: max(learned) + 1] if cut else tokens.ids
    labels = [token if position in learned else IGNORED for position, token in enumerate(ids)]
    return Example(response_id, ids, labels)


def _end(tokenizer: Any, prompt_format: str) -> tuple[int | None, str]:
    """The id of the end token, if there is one, and the text that the format writes after a turn."""
    probe = _probe(tokenizer, template_of(tokenizer, prompt_format))
    closing = probe.text[probe.spans[0][1] :]
    with told_of_panics(tokenizer):
        (without,) = tokenize(tokenizer, [probe], include_end_of_turn=False)
        (with_end,) = tokenize(tokenizer, [probe], include_end_of_turn=True)
    if len(with_end.response) == len(without.response):
        return None, closing
    end = with_end.ids[with_end.response[-1]]
    token = tokenizer.added_tokens_decoder.get(end)  # other tokens, and added spaces, can be part of a text
    own = token is not None and bool(token.content.strip()) and closing.lstrip().startswith(token.content)
    return (end if own else None), closing


def _probe(tokenizer: Any, template: ChatTemplate) -> Rendered:
    """A question and its answer, with a thought if the template adds an empty one to answers without."""
    answers = ("A", "<think>\nT\n</think>\n\nA")
    plain, thought = (Conversation(None, ("Q",), (answer,)) for answer in answers)
    try:
        return render(tokenizer, template, plain)
    except TemplateProblem as problem:
        try:
            return render(tokenizer, template, thought)
        except TemplateProblem:
            raise problem from None


def _advice(tokenizer: Any) -> str:
    fit = [repr(name) for name in (*TEMPLATES, "own") if _fits(tokenizer, name)]
    token = "add the token to the tokenizer and to the model's embeddings"
    return f"set 'prompt_format' to {' or '.join(fit)}, or {token}" if fit else token


def _fits(tokenizer: Any, prompt_format: str) -> bool:
    try:
        return _end(tokenizer, prompt_format)[0] is not None
    except TemplateProblem:  # the model has no template, or the template refuses a single question
        return False
