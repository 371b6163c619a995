"""A benchmark's tasks, loaded once: the ids of its items, and their results task by task."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from preceptor.compute.chat_template import PROMPT_DATE
from preceptor.evaluation.lm_eval.presets import Preset
from preceptor.evaluation.lm_eval.responses import ItemResult, item_ids
from preceptor.evaluation.lm_eval.run import check_room, draw, evaluate_model, load_model, whole
from preceptor.evaluation.lm_eval.tasks import load_tasks


@dataclass(frozen=True)
class Benchmark:
    """A preset on local rows. With a limit, the seed determines the items."""

    preset: Preset
    data: Path
    seed: int

    @cached_property
    def _tasks(self) -> dict[str, Any]:
        return load_tasks(self.preset, self.data, self.seed)

    @cached_property
    def _ids_by_task(self) -> dict[str, list[str]]:
        found = {}
        for name, task in self._tasks.items():
            docs = task.eval_docs
            drawn = draw(len(docs), self.preset.limit, self.seed, name)
            found[name] = item_ids(name, [docs[number] for number in drawn])
        return found

    def item_ids(self) -> list[str]:
        """The ids of the benchmark's items, by task and then in the rows' order."""
        return [item_id for ids in self._ids_by_task.values() for item_id in ids]

    def run(
        self, folder: str, device: str, batch_size: int, lacking: set[str], day: date = PROMPT_DATE
    ) -> Iterator[list[ItemResult]]:
        """Run a model folder. Yields the lacking items' results, task by task."""
        model = load_model(self.preset, folder, device, batch_size, day)
        for task in self.preset.tasks:
            if lacking.isdisjoint(self._ids_by_task[task.name]):
                continue
            loaded = self._tasks[task.name]
            check_room(self.preset, model, loaded)
            one = replace(self.preset, tasks=(task,))
            results = evaluate_model(one, {task.name: loaded}, model, self.seed)
            yield [whole(one, result, model, loaded) for result in results if result.item_id in lacking]
