"""Counts the requests, tokens and price of the work with an endpoint."""

from collections.abc import Iterable
from dataclasses import dataclass

from preceptor.study.endpoint import Prices


@dataclass(frozen=True)
class Usage:
    """Token counts that the endpoint reports for a request; None where it reports none."""

    prompt_tokens: int | None
    response_tokens: int | None

    def price(self, prices: Prices | None) -> float | None:
        """The price of the tokens; None where the counts or the prices are unknown."""
        if prices is None or self.prompt_tokens is None or self.response_tokens is None:
            return None
        return (self.prompt_tokens * prices.prompt + self.response_tokens * prices.response) / 1e6


def total(usages: Iterable[Usage]) -> Usage:
    """The sum over several requests; None where one of them is unknown."""
    found = list(usages)
    return Usage(_sum([u.prompt_tokens for u in found]), _sum([u.response_tokens for u in found]))


def _sum(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


class Spent:
    """Counts into `facts`. Tokens of unusable answers count too, because they are charged."""

    def __init__(self, prices: Prices | None) -> None:
        self.prices = prices
        names = (
            "requests",
            "retries",
            "prompt_tokens",
            "response_tokens",
            "highest_concurrency",
            "rows_given_up",
        )
        self.facts: dict[str, int | float] = dict.fromkeys(names, 0)
        self.tokens(Usage(None, None))

    def add(self, name: str, amount: int = 1) -> None:
        """Add to a count."""
        self.facts[name] = self.facts.get(name, 0) + amount

    def highest(self, concurrency: int) -> None:
        """Record the number of requests in flight."""
        self.facts["highest_concurrency"] = max(self.facts["highest_concurrency"], concurrency)

    def tokens(self, usage: Usage) -> None:
        """Add an answer's tokens, and their price where prices are known."""
        self.add("prompt_tokens", usage.prompt_tokens or 0)
        self.add("response_tokens", usage.response_tokens or 0)
        if self.prices is not None:
            prompt = self.facts["prompt_tokens"] * self.prices.prompt
            response = self.facts["response_tokens"] * self.prices.response
            self.facts["price"] = round((prompt + response) / 1e6, 6)
