"""Changes between two readings of a study: added and removed names, and changes that need a reload."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from preceptor.study.schema import Study


@dataclass(frozen=True)
class Change:
    """The names that joined and left one of the study's lists (`teachers` or `bases`)."""

    kind: str
    joined: tuple[str, ...]
    left: tuple[str, ...]

    def sentences(self) -> list[str]:
        """The change in sentences."""
        count = len(self.joined)
        kind = self.kind.removesuffix("s") if count == 1 else self.kind
        joined = [f"{count} new {kind}: {', '.join(self.joined)}"] if self.joined else []
        return [*joined, *(f"{name} left the study's {self.kind}" for name in self.left)]


def membership(study: Study) -> dict[str, list[str]]:
    """The names that may change while a study is served, in the study's order."""
    return {
        "teachers": [teacher.name for teacher in study.teachers],
        "bases": [base.name for base in study.bases],
    }


def change(kind: str, present: Iterable[str], wanted: Sequence[str], whole: bool = True) -> Change:
    """The change from the present to the wanted names. No name leaves unless the study was read `whole`."""
    before = list(present)
    left = sorted(set(before) - set(wanted)) if whole else []
    return Change(kind, tuple(name for name in wanted if name not in before), tuple(left))


@dataclass(frozen=True)
class Seen:
    """The state of the study at one check. `counter` distinguishes equal states at different times.

    `left_out` has the sentences about unreadable teacher files, so that each is reported once.
    """

    teachers: tuple[str, ...]
    bases: tuple[str, ...]
    whole: bool
    counter: int = 0
    left_out: tuple[str, ...] = ()

    def text(self) -> str:
        """The state as text, stored until the next check."""
        return json.dumps(asdict(self))

    @classmethod
    def of_text(cls, text: str) -> "Seen":
        """The state that an earlier check stored; older states have no `left_out`."""
        kept = json.loads(text)
        left_out = tuple(kept.get("left_out", ()))
        return cls(tuple(kept["teachers"]), tuple(kept["bases"]), kept["whole"], kept["counter"], left_out)

    def next(self, study: Study, left_out: Sequence[str] = ()) -> "Seen":
        """The state now. The counter stays the same if a ranking made after this state is still valid."""
        whole = not left_out
        names = membership(study)
        teachers = _members(self.teachers, names["teachers"], whole)
        bases = _members(self.bases, names["bases"], whole)
        same = (teachers, bases) == (self.teachers, self.bases) and (self.whole or not whole)
        counter = self.counter if same else self.counter + 1
        return Seen(teachers, bases, whole, counter, tuple(left_out))


def _members(before: Sequence[str], wanted: Sequence[str], whole: bool) -> tuple[str, ...]:
    left = change("", before, wanted, whole).left
    return tuple(sorted({*before, *wanted} - {*left}))


def needs_reload(loaded: Study, today: Study) -> list[str]:
    """The keys of the study whose partitions changed since the code location was loaded."""
    before, now = _fixed(loaded), _fixed(today)
    return [key for key in now if now[key] != before[key]]


def _fixed(study: Study) -> dict[str, object]:
    """The parts of a study from which a code location builds its partitions.

    A run's partition finds its rows by its recipe. An untuned base is evaluated if the base has a run.
    """
    return {
        "name": study.name,
        "reward_models": [model.name for model in study.reward_models],
        "recipes": [recipe.name for recipe in study.recipes],
        "runs": [(run.name, run.base, run.recipe) for run in study.runs],
        "evaluations": [evaluation.name for evaluation in study.evaluations],
    }
