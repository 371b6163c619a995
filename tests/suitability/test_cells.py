"""Dense cells against dictionaries of the same rows, in every order and with every kind of gap."""

from collections import defaultdict
from statistics import mean
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preceptor.current import ROW_TABLES, Current
from preceptor.study.schema import Study
from preceptor.suitability import cells
from preceptor.suitability.cells import Cells, used_cells, used_values

ASKED = ["i3", "i1", "i2", "i4"]  # as stored; cells are in the order of ids
TEACHERS, BASES = ("a", "b"), ("x", "y")
MARKS = st.sampled_from(["now", "now", "now", "older"])
NUMBERS = st.floats(-4, 4)
KEYS = st.tuples(st.sampled_from([*ASKED, "gone"]), st.integers(0, 2))
ERRORS = st.sampled_from([None, None, "failed"])
LOSSES = st.tuples(NUMBERS, st.integers(1, 9), ERRORS)
MAPS = {"identity": lambda r: r, "sigmoid": lambda r: 1 / (1 + np.exp(-r)), "affine": lambda r: 3 + 0.5 * r}


@st.composite
def partitions(draw, keys, values):
    """Some of the rows in any order: (key, value) each, and the settings that they were made under."""
    chosen = draw(
        st.one_of(st.just(keys), st.lists(st.sampled_from(keys), unique=True) if keys else st.just([]))
    )
    return [(key, draw(values)) for key in chosen], draw(MARKS)


@st.composite
def stores(draw):
    """Of each teacher the answers and scores, of each teacher and base the losses."""
    answers = {t: draw(partitions(draw(st.lists(KEYS, unique=True)), ERRORS)) for t in TEACHERS}
    keys = {t: [key for key, _ in answers[t][0]] for t in TEACHERS}
    scores = {t: draw(partitions(keys[t], st.one_of(st.none(), NUMBERS))) for t in TEACHERS}
    losses = {(b, t): draw(partitions(keys[t], LOSSES)) for b in BASES for t in TEACHERS}
    return answers, scores, losses


class Held:
    """A table's partitions in memory, in place of `Partitions`."""

    def __init__(self, table):
        self.table, self.held = table, {}

    def hold(self, place, rows, mark):
        missing = [pl.lit(None).alias(name) for name in self.table.row_schema if name not in rows.columns]
        frame = self.table.conform(rows.with_columns(missing)).with_columns(fingerprint=pl.lit(mark))
        self.held[tuple(place[name] for name in self.table.partition_by)] = frame

    def rows(self, place, columns):
        return self.held[tuple(place[name] for name in self.table.partition_by)].select(columns)


def held(store):
    answers, scores, losses = store
    tables = {table.name: Held(table) for table in ROW_TABLES}
    tables["raw_instructions"].hold({}, pl.DataFrame({"instruction_id": ASKED}), "now")
    for t in TEACHERS:
        place = {"teacher": t, "reward_model": "r"}
        tables["responses"].hold(place, frame(t, answers[t][0], ["error"]), answers[t][1])
        tables["rewards"].hold(place, frame(t, scores[t][0], ["reward"]), scores[t][1])
        for b in BASES:
            rows = frame(t, losses[b, t][0], ["nll_sum", "tokens", "error"])
            rows = rows.with_columns(response_tokens=pl.col("tokens").cast(pl.Int64) + 1)
            tables["base_losses"].hold({"base": b, "teacher": t}, rows, losses[b, t][1])
    return tables


def frame(teacher, rows, columns):
    values = [value if isinstance(value, tuple) else (value,) for _, value in rows]
    return pl.DataFrame(
        {
            "instruction_id": [instruction for (instruction, _), _ in rows],
            "response_id": [f"{teacher}{key}" for key, _ in rows],
            **{name: [value[place] for value in values] for place, name in enumerate(columns)},
        },
        strict=False,
    )


def read(store, reward_map):
    study = Study.model_validate(
        {
            "name": "s",
            "car": {"reward_map": {"kind": reward_map, "shift": 3, "scale": 0.5}},
            "instructions": {"sources": [{"name": "s", "dataset": "d"}]},
            "teachers": [{"name": name, "engine": "recorded", "dataset": "d"} for name in TEACHERS],
            "bases": [{"name": name, "model": "m"} for name in BASES],
            "reward_models": [{"name": "r", "engine": "recorded", "dataset": "d"}],
        }
    )
    marks = dict.fromkeys((*TEACHERS, *BASES), "now")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "Partitions", lambda tables, table, _: tables[table.name])
        session = SimpleNamespace(lake=held(store), versions=dict.fromkeys((t.name for t in ROW_TABLES), 0))
        return cells.read_cells(session, study, Current(marks, marks, marks))


def current(partition):
    rows, mark = partition
    return dict(rows) if mark == "now" else {}


@settings(max_examples=80, deadline=None)
@given(stores(), st.sampled_from(list(MAPS)))
def test_cells_and_counts_are_those_of_a_dictionary(store, reward_map):
    counted = read(store, reward_map)
    answers, scores, losses = store
    responses, by_base = counted.responses.rows(named=True), counted.losses.rows(named=True)
    for t, teacher in enumerate(TEACHERS):
        answered = {key: error for key, error in current(answers[teacher]).items() if key[0] in ASKED}
        rewarded = {k: MAPS[reward_map](r) for k, r in current(scores[teacher]).items() if r is not None}
        rewarded = {key: reward for key, reward in rewarded.items() if key in answered}
        usable = [key for key, error in answered.items() if error is None]
        counts = len(usable), len({instruction for instruction, _ in usable}), len(rewarded)
        assert tuple(responses[t][name] for name in ("answers", "answered", "rewarded")) == counts
        for b, base in enumerate(BASES):
            scored = {key: loss for key, loss in current(losses[base, teacher]).items() if key in answered}
            nll = {key: total / tokens for key, (total, tokens, error) in scored.items() if error is None}
            samples = defaultdict(list)
            for key in rewarded.keys() & nll.keys():
                samples[key[0]].append((rewarded[key], nll[key]))
            for place, instruction in enumerate(sorted(ASKED)):
                found = counted.cells.values[:, b, t, place]
                expected = [mean(part) for part in zip(*samples[instruction], strict=True)] or [np.nan] * 2
                np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
                assert counted.cells.there[b, t, place] == bool(samples[instruction])
            row = by_base[t * len(BASES) + b]
            assert (row["base_index"], row["teacher_index"]) == (b, t)
            tokens = sum(tokens for _, tokens, _ in scored.values())
            assert (row["scored"], row["tokens"], row["response_tokens"], row["available"]) == (
                len(nll),
                tokens,
                tokens + len(scored),
                sum(map(bool, samples.values())),
            )


@given(
    st.lists(
        st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=3, max_size=3),
        min_size=2,
        max_size=2,
    )
)
def test_common_cells_are_of_instructions_that_all_of_a_bases_ranked_teachers_have(rows):
    there = np.array(rows)
    values = np.where(there, np.arange(there.size, dtype=float).reshape(there.shape), np.nan)
    expected = np.zeros_like(there)
    for base in range(2):
        ranked = [t for t in range(3) if there[base, t].any()]
        for place in range(5):
            if ranked and all(there[base, t, place] for t in ranked):
                expected[base, ranked, place] = True
    for rows_wanted, used in (("common", expected), ("available", there)):
        np.testing.assert_array_equal(used_cells(there, rows_wanted), used)
        kept = [place for place in range(5) if used[:, :, place].any()]
        whole = np.where(used, values, np.nan)[..., kept]
        both = Cells(("one", "other"), there, np.array([values, -values]))
        np.testing.assert_array_equal(used_values(both, used, both.columns), np.array([whole, -whole]))
