"""Models of lm-eval's interface that answer by a function of the item: right ones, wrong ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lm_eval.api.model import LM

from preceptor.evaluation.lm_eval.presets import Preset
from preceptor.evaluation.lm_eval.responses import ItemResult
from preceptor.evaluation.lm_eval.session import Benchmark

Row = dict[str, Any]


class Answering(LM):
    """Responds with a text, and likes best the choice of a number, both by the item's row."""

    def __init__(self, respond: Callable[[Row], str], choose: Callable[[Row], int] = lambda row: 0) -> None:
        super().__init__()
        self.respond = respond
        self.choose = choose

    def generate_until(self, requests, disable_tqdm=False):
        return [self.respond(request.doc) for request in requests]

    def loglikelihood(self, requests, disable_tqdm=False):
        return [(0.0 if request.idx == self.choose(request.doc) else -1.0, False) for request in requests]

    def loglikelihood_rolling(self, requests, disable_tqdm=False):
        raise AssertionError("no benchmark here asks for it")


def model_run(preset: Preset, data: Path, folder: str, batch_size: int = 2) -> list[ItemResult]:
    """What a model folder answers to all of a benchmark's items."""
    benchmark = Benchmark(preset, data, seed=0)
    found = benchmark.run(folder, "cpu", batch_size, set(benchmark.item_ids()))
    return [result for results in found for result in results]
