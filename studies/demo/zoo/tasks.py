"""Thirteen kinds of small tasks whose answers a program can check, each with over a thousand instances."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

from studies.demo.zoo.words import (
    CATEGORIES,
    LIST_WORDS,
    OPPOSITES,
    ORDINALS,
    PEOPLE,
    PLACES,
    REASONS,
)

Draw = random.Random


@dataclass(frozen=True)
class Task:
    """An instruction, its answer, the checker of preceptor.evaluation that decides, and the way there."""

    kind: str
    instruction: str
    answer: str
    check: str
    working: str
    given: str  # what a note or a diary would say that the task is about

    @property
    def right(self) -> str:
        """What the checker compares with: keywords for `contains`, else the answer itself."""
        return KEYWORDS[self.answer] if self.check == "contains" else self.answer


KEYWORDS = {f"it {reason}": keyword for reason, keyword in REASONS.values()}


def _words(draw: Draw, low: int, high: int) -> list[str]:
    return draw.sample(LIST_WORDS, draw.randint(low, high))


def _copy(draw: Draw) -> Task:
    text = " ".join(_words(draw, 2, 5))
    return Task("copy", f"Repeat these words: {text}", text, "exact", "Say them as they are", text)


def _reverse(draw: Draw) -> Task:
    words = _words(draw, 2, 4)
    text, back = " ".join(words), " ".join(reversed(words))
    working = "From the end: " + ", then ".join(reversed(words))
    return Task("reverse", f"Reverse the order of these words: {text}", back, "exact", working, text)


def _sort(draw: Draw) -> Task:
    words = _words(draw, 2, 3)
    ordered = sorted(words)
    working = "By first letters: " + ", ".join(f"{word[0]} {word}" for word in ordered)
    text = " ".join(words)
    return Task(
        "sort", f"Sort these words by the alphabet: {text}", " ".join(ordered), "exact", working, text
    )


def _count(draw: Draw) -> Task:
    words = _words(draw, 2, 7)
    text = " ".join(words)
    working = "Count: " + ", ".join(f"{word} {number}" for number, word in enumerate(words, 1))
    return Task("count", f"How many words are here: {text}", str(len(words)), "number", working, text)


def _nth(draw: Draw) -> Task:
    words = _words(draw, 3, 4)
    place = draw.randrange(len(words))
    text = " ".join(words)
    working = "Count: " + ", ".join(f"{ORDINALS[i]} {words[i]}" for i in range(place + 1))
    question = f"What is the {ORDINALS[place]} word here: {text}"
    return Task("nth", question, words[place], "exact", working, f"the {ORDINALS[place]} word of {text}")


def _remove(draw: Draw) -> Task:
    words = _words(draw, 3, 4)
    gone = draw.choice(words)
    kept = " ".join(word for word in words if word != gone)
    text = " ".join(words)
    working = f"Take {gone} away and keep the others"
    return Task("remove", f"Leave out {gone} from: {text}", kept, "exact", working, f"{text} without {gone}")


def _initials(draw: Draw) -> Task:
    words = _words(draw, 2, 4)
    letters = " ".join(word[0] for word in words)
    working = "Look at each word: " + ", ".join(f"{word} {word[0]}" for word in words)
    text = " ".join(words)
    return Task("initials", f"Give the first letters of: {text}", letters, "exact", working, text)


def _add(draw: Draw) -> Task:
    a, b = draw.randint(1, 49), draw.randint(1, 49)
    working = (
        f"Tens {a // 10} + {b // 10} = {a // 10 + b // 10}, ones {a % 10} + {b % 10} = {a % 10 + b % 10}"
    )
    return Task("add", f"What is {a} plus {b}?", str(a + b), "number", working, f"{a} + {b}")


def _larger(draw: Draw) -> Task:
    a, b = draw.sample(range(10, 100), 2)
    working = f"{min(a, b)} is less than {max(a, b)}"
    question = f"Which number is larger, {a} or {b}?"
    return Task("larger", question, str(max(a, b)), "number", working, f"{a} or {b}")


def _next(draw: Draw) -> Task:
    start, step = draw.randint(1, 99), draw.randint(1, 9)
    *shown, following = accumulate([start, *[step] * draw.randint(3, 4)])
    text = ", ".join(map(str, shown))
    working = f"Each step adds {step}, and {shown[-1]} + {step} = {following}"
    return Task("next", f"Which number comes next: {text}", str(following), "number", working, text)


def _opposite(draw: Draw) -> Task:
    pairs = [draw.choice([(a, b), (b, a)]) for a, b in draw.sample(OPPOSITES, draw.randint(2, 3))]
    text, answer = " ".join(a for a, _ in pairs), " ".join(b for _, b in pairs)
    working = "One by one: " + ", ".join(f"{a} {b}" for a, b in pairs)
    return Task("opposite", f"Give the opposites of: {text}", answer, "exact", working, text)


def _pick(draw: Draw) -> Task:
    wanted, *others = draw.sample(list(CATEGORIES), 4)
    found = draw.choice(CATEGORIES[wanted])
    shown = [found, *(draw.choice(CATEGORIES[other]) for other in others)]
    draw.shuffle(shown)
    text = " ".join(shown)
    article = "An" if found[0] in "aeiou" else "A"
    working = f"{article} {found} is a kind of {wanted}"
    question = f"Which of these is a kind of {wanted}: {text}"
    return Task("pick", question, found, "exact", working, f"the {wanted} among {text}")


def _explain(draw: Draw) -> Task:
    person, place, thing = draw.choice(PEOPLE), draw.choice(PLACES), draw.choice(list(REASONS))
    reason, _ = REASONS[thing]
    question = f"Why does the {person} take the {thing} to the {place}?"
    working = f"Think of what the {thing} does at the {place}"
    given = f"the {person} takes the {thing} to the {place}"
    return Task("explain", question, f"it {reason}", "contains", working, given)


KINDS: tuple[Callable[[Draw], Task], ...] = (
    _copy,
    _reverse,
    _sort,
    _count,
    _nth,
    _remove,
    _initials,
    _add,
    _larger,
    _next,
    _opposite,
    _pick,
    _explain,
)


def draw_task(draw: Draw) -> Task:
    """A random task of a random kind."""
    return draw.choice(KINDS)(draw)
