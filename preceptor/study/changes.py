"""What changed between two readings of a study: who joined, who left, and what only a reload shows."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from preceptor.study.schema import Study


@dataclass(frozen=True)
class Change:
    """Which names joined one of the study's lists (`teachers` or `bases`), and which left it."""

    kind: str
    joined: tuple[str, ...]
    left: tuple[str, ...]

    def sentences(self) -> list[str]:
        """What happened, for people."""
        count = len(self.joined)
        kind = self.kind.removesuffix("s") if count == 1 else self.kind
        joined = [f"{count} new {kind}: {', '.join(self.joined)}"] if self.joined else []
        return [*joined, *(f"{name} left the study's {self.kind}" for name in self.left)]


def membership(study: Study) -> dict[str, list[str]]:
    """The names that may come and go while a study is served, in the study's order."""
    return {
        "teachers": [teacher.name for teacher in study.teachers],
        "bases": [base.name for base in study.bases],
    }


def change(kind: str, present: Iterable[str], wanted: Sequence[str], whole: bool = True) -> Change:
    """What makes the present names the wanted ones; nobody leaves a study that could not be read whole."""
    before = list(present)
    left = sorted(set(before) - set(wanted)) if whole else []
    return Change(kind, tuple(name for name in wanted if name not in before), tuple(left))


@dataclass(frozen=True)
class Seen:
    """What a look at the study found. `counter` tells apart looks that found the same at different times.

    `left_out` are the sentences on teacher files that could not be read: each is said once.
    """

    teachers: tuple[str, ...]
    bases: tuple[str, ...]
    whole: bool
    counter: int = 0
    left_out: tuple[str, ...] = ()

    def text(self) -> str:
        """As it is kept until the next look."""
        return json.dumps(asdict(self))

    @classmethod
    def of_text(cls, text: str) -> "Seen":
        """What an earlier look wrote; one from before sentences were kept has none."""
        kept = json.loads(text)
        said = tuple(kept.get("left_out", ()))
        return cls(tuple(kept["teachers"]), tuple(kept["bases"]), kept["whole"], kept["counter"], said)

    def next(self, study: Study, left_out: Sequence[str] = ()) -> "Seen":
        """What is seen now; the counter is this one's if a ranking that was made after this look is right."""
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
    """The keys whose partitions are those that a code location had when it was loaded, and no more right."""
    before, now = _fixed(loaded), _fixed(today)
    return [key for key in now if now[key] != before[key]]


def _fixed(study: Study) -> dict[str, object]:
    """What a code location builds its partitions from; a run's partition finds its rows by its recipe.

    Of a base that has a run the untuned one is evaluated too.
    """
    return {
        "name": study.name,
        "reward_models": [model.name for model in study.reward_models],
        "recipes": [recipe.name for recipe in study.recipes],
        "runs": [(run.name, run.base, run.recipe) for run in study.runs],
        "evaluations": [evaluation.name for evaluation in study.evaluations],
    }
