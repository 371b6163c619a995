"""A small lake with ties, gaps and rows that no recipe may choose, and its rows in plain Python."""

import math
import random
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from preceptor.current import Current
from preceptor.lake.schemas import BASE_LOSSES, CAR_TABLE, RAW_INSTRUCTIONS, RESPONSES, REWARDS
from preceptor.lake.store import Lake
from preceptor.lake.warehouse import Warehouse
from preceptor.selection.recipes import select_rows, selection_reads
from preceptor.study.schema import Study

SQL = Path(__file__).parents[2] / "sql"
TEACHERS = ("alpha-1.5", "007", "c++")
BASES = ("base-a", "base-b")
INSTRUCTIONS = tuple(f"i{number:02}" for number in range(16))
GREEDY = {"007": 1}  # samples per instruction; the others have four
# CAR ranks c++ first for base-a and 007 for base-b; alpha-1.5 cannot be ranked for base-a
RANKS = {"base-a": {"c++": 1, "007": 2, "alpha-1.5": None}, "base-b": {"007": 1, "alpha-1.5": 2, "c++": 3}}

ONE = {"kind": "teacher", "teacher": "007"}
BEST = {"kind": "best_teacher", "base": "base-a"}
DRAWN = {"kind": "random", "rows": 10}
TOP = {"kind": "top_k", "column": "mean_nll", "order": "lowest", "base": "base-a", "rows": 9}
PICKED = {"kind": "best_of_n", "teacher": "c++"}


@dataclass(frozen=True)
class Row:
    """One response. `losses` holds, per base, the sums that the recipes read; a base can be absent."""

    response_id: str
    instruction_id: str
    teacher: str
    sample: int = 0
    turns: tuple[str, ...] = ("yes",)
    error: str | None = None
    finish_reason: str | None = None
    reward: float | None = None
    losses: dict[str, dict] = field(default_factory=dict)

    def value(self, column, base=None):
        """The column's value as its definition says; None where it is not known."""
        if column == "reward":
            return self.reward
        loss = self.losses.get(base, {"error": "absent"})
        if loss["error"] is not None:
            return None
        mean = loss["nll_sum"] / loss["tokens"]
        unconditional = loss["unconditional_nll_sum"] / loss["unconditional_tokens"]
        return {
            "mean_nll": mean,
            "perplexity": math.exp(mean),
            "ifd": _at_most_one(mean / unconditional),
            "ifd_of_perplexities": _at_most_one(math.exp(mean) / math.exp(unconditional)),
            "rank_surprisal_ratio": loss["rank100_sum"] / loss["nll_sum"],
            "response_tokens": loss["response_tokens"],
        }[column]


def _at_most_one(ratio):
    return ratio if ratio <= 1 else None  # its authors drop what is above


def loss(nll, tokens=2, unconditional=4, rank=8, length=3, error=None):
    return {
        "response_tokens": length,
        "tokens": tokens,
        "nll_sum": float(nll),
        "rank100_sum": float(rank),
        "unconditional_tokens": tokens,
        "unconditional_nll_sum": float(unconditional),
        "error": error,
    }


def random_loss(dice):
    """Small whole numbers over powers of two: many values tie, and they tie in floating point too."""
    nll, unconditional, rank, length = (dice.randint(1, 4) for _ in range(4))
    error = dice.choice([None] * 6 + ["broken"])
    return loss(nll, dice.choice([1, 2, 4]), unconditional, rank, length, error)


def good_rows():
    """All that may be chosen; some of their values are not known."""
    dice = random.Random(0)
    rows = []
    for instruction in INSTRUCTIONS:
        for teacher in TEACHERS:
            for sample in range(GREEDY.get(teacher, 4)):
                losses = {base: random_loss(dice) for base in BASES if dice.random() < 0.9}
                reward = dice.choice([None, 1.0, 2.0, 3.0, 4.0])
                name = f"{dice.getrandbits(64):016x}"
                rows.append(Row(name, instruction, teacher, sample, reward=reward, losses=losses))
    return rows


GOOD = good_rows()
TRAPS = {
    "an error": {"error": "out of memory"},
    "no turn": {"turns": ()},
    "an empty turn": {"turns": ("",)},
    "blanks": {"turns": ("  ", " ")},
    "line ends": {"turns": ("\n\t\r\n",)},
    "wide blanks": {"turns": ("\u3000\n\u00a0",)},
    "cut at the limit of tokens": {"finish_reason": "length"},
    "a teacher that left the study": {"teacher": "gone"},
    "an instruction that left the study": {"instruction_id": "i99"},
}


def trap_rows(name):
    """Rows that would be the first of every instruction, by every column and in either order."""
    rows = []
    for instruction in INSTRUCTIONS:
        for teacher in TEACHERS:
            for reward, extreme in (
                (-1000.0, loss(0.001, rank=0, length=0)),
                (1000.0, loss(500, 1, 0, 1e7, 10**6)),
            ):
                losses = dict.fromkeys(BASES, extreme)
                place = {"instruction_id": instruction, "teacher": teacher, **TRAPS[name]}
                number = 10 + len(rows)
                rows.append(Row(f"0-{number}", sample=number, reward=reward, losses=losses, **place))
    return rows


def fill(lake, rows, ranks=RANKS, instructions=INSTRUCTIONS):
    """Publish the rows in five tables; what is not given is null, and a second reward model disagrees."""

    def publish(table, dictionaries, **partition):
        if dictionaries:
            lake.publish(table, pl.DataFrame(dictionaries, schema=table.row_schema), partition, "f")

    publish(
        RAW_INSTRUCTIONS, [{"instruction_id": instruction, "turns": ["?"]} for instruction in instructions]
    )
    for teacher in dict.fromkeys(row.teacher for row in rows):
        own = [row for row in rows if row.teacher == teacher]
        identities = [
            {k: getattr(row, k) for k in ("response_id", "instruction_id", "sample")} for row in own
        ]
        both = list(zip(own, identities, strict=True))
        publish(
            RESPONSES,
            [
                {**i, "turns": row.turns, "error": row.error, "finish_reason": row.finish_reason}
                for row, i in both
            ],
            teacher=teacher,
        )
        judged = [{**i, "reward": row.reward, "error": None if row.reward else "none"} for row, i in both]
        publish(REWARDS, judged, reward_model="judge", teacher=teacher)
        other = [{**i, "reward": -(row.reward or 9.0)} for row, i in both]
        publish(REWARDS, other, reward_model="other", teacher=teacher)
        for base in BASES:
            scored = [{**i, **row.losses[base]} for row, i in both if base in row.losses]
            publish(BASE_LOSSES, scored, base=base, teacher=teacher)
    table = [
        {"base": base, "teacher": teacher, "rank": rank, "rank_low": rank, "rank_high": rank and rank + 1}
        | {"car": rank and 1 / rank, "missing": None if rank else "no reward"}
        for base, order in ranks.items()
        for teacher, rank in order.items()
    ]
    publish(CAR_TABLE, table)
    return lake


def study(*recipes, teachers=TEACHERS, reward_model="judge"):
    """A study whose one recipe is named `it`, or several as they are named."""
    return Study.model_validate(
        {
            "name": "small",
            "instructions": {"sources": [{"name": "a", "dataset": "d"}]},
            "teachers": [{"name": name, "engine": "recorded", "dataset": "d"} for name in teachers],
            "bases": [{"name": name, "model": f"organisation/{name}"} for name in BASES],
            "reward_models": [{"name": n, "engine": "recorded", "dataset": "d"} for n in ("judge", "other")],
            "car": {"reward_model": reward_model},
            "recipes": [{"name": "it", **recipe} for recipe in recipes],
        }
    )


def select(lake, recipe, **changes):
    """The rows that one recipe chooses, by a warehouse of its own."""
    warehouse, declared = Warehouse(lake, SQL), study(recipe, **changes)
    warehouse.attach(*selection_reads(declared, "it"))
    return select_rows(warehouse, declared, "it", everything(declared))


def everything(declared):
    """All rows of the lake count: they are published under "f"."""
    names = {teacher.name: "f" for teacher in declared.teachers}
    return Current(names, names, dict.fromkeys(BASES, "f"))


def empty_lake(folder):
    return Lake(str(folder / "store"), "small")
