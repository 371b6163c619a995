"""Which tokens of a rendered conversation are scored, and what is cut when it is too long."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from preceptor.compute.conversation import Rendered, TemplateProblem
from preceptor.compute.vocabulary import PanicProblem, refuse_unknown, told_of_panics

Row = TypeVar("Row")
STEP = re.compile(r"[.?] ")  # a step begins after a full stop or question mark (ASLEC, arXiv 2604.06834)


@dataclass(frozen=True)
class Tokens:
    """Token ids; the positions of response tokens, of the first tokens of steps, and of the first two."""

    ids: list[int]
    response: list[int]
    head1: frozenset[int]
    head2: frozenset[int]
    response_tokens: int  # before anything was cut
    ending: frozenset[int] = frozenset()  # of the response: what ends a turn, and the template's blank before

    @property
    def prompt_length(self) -> int:
        """Tokens before the response's first one."""
        return self.response[0] if self.response else len(self.ids)


def tokenize(tokenizer: Any, texts: list[Rendered], include_end_of_turn: bool) -> list[Tokens]:
    """Tokenize each whole text once, as tuning does, and find its response tokens by their characters."""
    if not texts:
        return []
    encoded = tokenizer(
        [rendered.text for rendered in texts], add_special_tokens=False, return_offsets_mapping=True
    )
    pairs = zip(texts, encoded["input_ids"], encoded["offset_mapping"], strict=True)
    ends = _own_tokens(tokenizer) if include_end_of_turn else None
    return [_locate(rendered, ids, offsets, ends) for rendered, ids, offsets in pairs]


def tokenize_rows(
    tokenizer: Any,
    texts: Mapping[Row, Rendered],
    rows: int,
    include_end_of_turn: bool,
    failed: dict[Row, str],
) -> dict[Row, Tokens]:
    """The texts' tokens for a model with so many embeddings; a text that it cannot take is in `failed`."""
    found: dict[Row, Tokens] = {}
    for key, tokens in tokenize_each(tokenizer, texts, include_end_of_turn, failed):
        try:
            refuse_unknown(tokenizer, tokens.ids, rows)
        except TemplateProblem as problem:
            failed[key] = str(problem)
        else:
            found[key] = tokens
    return found


def tokenize_each(
    tokenizer: Any, texts: Mapping[Row, Rendered], include_end_of_turn: bool, failed: dict[Row, str]
) -> Iterator[tuple[Row, Tokens]]:
    """All texts at once, which is fast; one by one where the tokenizer panics at one of them."""
    try:
        with told_of_panics(tokenizer):
            located = tokenize(tokenizer, list(texts.values()), include_end_of_turn)
        yield from zip(texts, located, strict=True)
    except PanicProblem:
        for key, text in texts.items():
            try:
                with told_of_panics(tokenizer):
                    (tokens,) = tokenize(tokenizer, [text], include_end_of_turn)
            except PanicProblem as problem:
                failed[key] = str(problem)
            else:
                yield key, tokens


def _own_tokens(tokenizer: Any) -> frozenset[int]:
    """Added tokens: others can be part of a text, and so can added blanks."""
    return frozenset(
        number for number, token in tokenizer.added_tokens_decoder.items() if token.content.strip()
    )


def _locate(
    rendered: Rendered, ids: list[int], offsets: list[tuple[int, int]], own: frozenset[int] | None
) -> Tokens:
    """The tokens of the spans; where `own` ones are given, also what ends each turn."""
    ends = [end for _, end in offsets]
    response: list[int] = []
    head1: set[int] = set()
    head2: set[int] = set()
    ending: set[int] = set()
    for start, end in rendered.spans:
        # A token belongs to the response if any of its characters does: the first token that ends behind
        # the span's start, up to the last that begins before the span's end.
        first = bisect_right(ends, start)
        last = first
        while last < len(ids) and offsets[last][0] < end:
            last += 1
        if own is not None:
            behind = _behind_end(rendered.text, ids, offsets, last, own)
            ending.update(range(last, behind))
            last = behind
        response += range(first, last)
        if end > start:
            for step in [start, *(start + m.end() for m in STEP.finditer(rendered.text[start:end]))]:
                head = bisect_right(ends, step)
                head1.update(p for p in (head,) if p < last)
                head2.update(p for p in (head, head + 1) if p < last)
    heads = frozenset(head1), frozenset(head2)
    return Tokens(ids, response, *heads, len(response), frozenset(ending))


def _behind_end(
    text: str, ids: list[int], offsets: list[tuple[int, int]], last: int, own: frozenset[int]
) -> int:
    """Behind the next token, which ends the turn, or the own one before which a template sets blanks."""
    end = last
    while end < len(ids) and text[slice(*offsets[end])].isspace() and ids[end] not in own:
        end += 1
    return end + 1 if end < len(ids) and ids[end] in own else min(last + 1, len(ids))


def truncate(tokens: Tokens, context: int, bos: int | None) -> Tokens:
    """Fit a too long conversation: at most half the context for the prompt's end, then the response's start.

    A BOS token stays in front, since models read badly without the one they were trained with.
    """
    if len(tokens.ids) <= context:
        return tokens
    prompt = tokens.ids[: tokens.prompt_length]
    kept = min(len(prompt), context // 2)
    front = [bos] if bos is not None and kept > 0 and kept < len(prompt) and prompt[0] == bos else []
    dropped = len(prompt) - kept
    ids = front + prompt[dropped + len(front) :] + tokens.ids[tokens.prompt_length :]

    def shifted(positions: list[int] | frozenset[int]) -> list[int]:
        return [p - dropped for p in positions if p - dropped < context]

    return Tokens(
        ids[:context],
        shifted(tokens.response),
        frozenset(shifted(tokens.head1)),
        frozenset(shifted(tokens.head2)),
        tokens.response_tokens,
        frozenset(shifted(tokens.ending)),
    )
