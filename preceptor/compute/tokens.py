"""Find the tokens of a rendered conversation that are scored, and truncate one that is too long."""

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
    """Token ids and positions: of `response` tokens, and of each step's first (`head1`) and first two."""

    ids: list[int]
    response: list[int]
    head1: frozenset[int]
    head2: frozenset[int]
    response_tokens: int  # before anything was cut
    ending: frozenset[int] = frozenset()  # response tokens that end a turn, and the template's space before

    @property
    def prompt_length(self) -> int:
        """The number of tokens before the response."""
        return self.response[0] if self.response else len(self.ids)


def tokenize(tokenizer: Any, texts: list[Rendered], include_end_of_turn: bool) -> list[Tokens]:
    """Tokenize each whole text once, as tuning does, and find its response tokens by character offsets."""
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
    """The tokens of each text. `rows` is the number of the model's embeddings.

    A text that the model cannot take gets its reason in `failed`.
    """
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
    """Tokenize all texts at once, which is fast, or one by one if the tokenizer panics on one of them."""
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
    """Ids of added tokens, without added whitespace. Other tokens, and whitespace, can be part of a text."""
    return frozenset(
        number for number, token in tokenizer.added_tokens_decoder.items() if token.content.strip()
    )


def _locate(
    rendered: Rendered, ids: list[int], offsets: list[tuple[int, int]], own: frozenset[int] | None
) -> Tokens:
    """The tokens of the spans. If `own` tokens are given, the tokens that end each turn are included."""
    ends = [end for _, end in offsets]
    response: list[int] = []
    head1: set[int] = set()
    head2: set[int] = set()
    ending: set[int] = set()
    for start, end in rendered.spans:
        # A token belongs to the response if any of its characters does: from the first token that ends after
        # the span's start to the last one that begins before the span's end.
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
    """The position after the token that ends the turn: the next one, or an own token after whitespace."""
    end = last
    while end < len(ids) and text[slice(*offsets[end])].isspace() and ids[end] not in own:
        end += 1
    return end + 1 if end < len(ids) and ids[end] in own else min(last + 1, len(ids))


def truncate(tokens: Tokens, context: int, bos: int | None) -> Tokens:
    """Truncate a conversation to the context: keep the prompt's end and then the response's start.

    The prompt gets at most half of the context. A BOS token stays in front, because models that were trained
    with one perform badly without it.
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
