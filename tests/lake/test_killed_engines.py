"""Kills while real engines run: every row is stored once, and kept rows are not computed again.

A dozen kills per test here. `make soak` makes hundreds, which hit every phase of the work.
"""

import logging
import random
import shutil
import time
from collections import Counter
from dataclasses import dataclass

import pytest
from polars.testing import assert_frame_equal

from preceptor.study.fields import Sampling
from preceptor.study.reward_models import ClassifierRewardModel
from preceptor.study.schema import Base
from preceptor.study.teachers import TransformersTeacher
from tests.conftest import CHATML, save_classifier, save_language_model
from tests.lake.engine_work import IN_FLIGHT, ROWS, TABLES, TOO_LONG, Models, instructions, read_journal
from tests.lake.killed_chains import Chain, phase

log = logging.getLogger(__name__)
SHARE = 0.5  # of an undisturbed run's time: so each chain takes several kills
EVERY = set(instructions()["instruction_id"])
GOOD = EVERY - {f"i{number:02}" for number in TOO_LONG}


@dataclass(frozen=True)
class Calm:
    """An undisturbed chain for each settings, and the longest time that other processes may live."""

    models: Chain
    changed: Chain
    longest: float


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    teacher = save_language_model(folder / "teacher", context=192, seed=2, template=CHATML)
    classifier = save_classifier(folder / "classifier", context=256, template=CHATML)
    sampling = Sampling(max_new_tokens=10)
    return Models(
        TransformersTeacher(name="tiny", engine="transformers", model=teacher, sampling=sampling),
        ClassifierRewardModel(name="rm", engine="sequence_classification", model=classifier),
        Base(name="base", model=save_language_model(folder / "base", context=96)),
    )


@pytest.fixture(scope="module")
def changed(models):
    """Responses and losses get new fingerprints. Rewards keep theirs, but score other responses."""
    teacher = models.teacher.model_copy(update={"sampling": Sampling(max_new_tokens=7)})
    return Models(teacher, models.reward_model, models.base.model_copy(update={"max_length": 64}))


@pytest.fixture(scope="module")
def calm(models, changed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("calm")
    chains = Chain(folder / "models"), Chain(folder / "changed")
    assert not chains[0].run(models)  # also starts the server, which takes seconds
    started = time.monotonic()
    assert not chains[1].run(changed)
    return Calm(*chains, SHARE * (time.monotonic() - started))


def equal(found, expected):
    """Floats differ by rounding if a row was in another batch."""
    assert_frame_equal(found, expected, rel_tol=1e-5, abs_tol=1e-6)


def rows_lost(journal, before, after):
    """Rows that a process computed but did not keep. Checks that it never computes kept rows again."""
    asked, done = read_journal(journal)
    lost = Counter()
    for name in TABLES:
        old, new = (published | staged for published, staged in (before[name], after[name]))
        assert old <= new, f"{name}: rows are gone"
        if asked[name] is not None:
            assert sorted(asked[name]) == sorted((EVERY if name == "responses" else GOOD) - old)
        lost[name] = done[name] - len((new - old) & GOOD)
        assert 0 <= lost[name] <= IN_FLIGHT[name]
    return lost


@dataclass
class Met:
    """The number of kills in each phase, and of torn commits."""

    phases: Counter
    torn: int = 0


@pytest.mark.slow
def test_kills_leave_every_row_once_and_cost_the_rows_in_flight(models, calm, tmp_path):
    killed_at_random(12, models, calm, tmp_path)


@pytest.mark.soak
def test_two_hundred_kills_hit_every_phase(models, calm, tmp_path):
    met = killed_at_random(200, models, calm, tmp_path)
    assert all(met.phases[f"{name}: under way"] for name in TABLES)
    assert any(met.phases[f"{name}: published, not cleared"] for name in TABLES)
    assert met.torn, "no kill met a commit"


def killed_at_random(kills, models, calm, tmp_path) -> Met:
    """Chains of work, each killed again and again until it is done."""
    moments, fingerprints, expected = random.Random(0), models.fingerprints(), calm.models.tables()
    met, lost, chains = Met(Counter()), Counter(), 0
    while met.phases.total() < kills:
        chains += 1
        chain = Chain(tmp_path / f"{chains}")
        before = chain.kept(fingerprints)
        for killed in chain.until_done(models, moments, calm.longest):
            after = chain.kept(fingerprints)
            assert all(len(published) in (0, ROWS) for published, _ in after.values())
            lost += rows_lost(chain.journal, before, after)
            met.phases[phase(after)] += killed
            before = after
        for name, found in chain.tables().items():
            equal(found, expected[name])
            assert set(found["fingerprint"]) == {fingerprints[name]}
        assert not any(chain.staged().values())
        met.torn += chain.torn_commits()
    log.info("%d chains, kills %s, rows computed again %s", chains, met, dict(lost))
    return met


def whose(found, known):
    """Check that a table holds the rows of exactly one of these chains."""
    ids = set(found["response_id"])
    owners = [name for name, table in known.items() if set(table["response_id"]) == ids]
    assert len(owners) == 1, "the table holds a part of some settings' rows"
    equal(found, known[owners[0]])
    return owners[0]


@pytest.mark.slow
def test_settings_that_change_between_kills_never_mix(models, changed, calm, tmp_path):
    changed_at_random(6, models, changed, calm, tmp_path)


@pytest.mark.soak
def test_sixty_changes_of_settings_hit_every_table(models, changed, calm, tmp_path):
    met = changed_at_random(60, models, changed, calm, tmp_path)
    assert all(met[name] for name in TABLES)


def changed_at_random(least, models, changed, calm, tmp_path) -> Counter:
    """Run chains whose settings change between kills. Counts tables that held rows of other settings."""
    moments, settings = random.Random(1), {"models": models, "changed": changed}
    known = {"models": calm.models.tables(), "changed": calm.changed.tables()}
    met, kills, chains = Counter(), 0, 0

    def met_at_work(chain, wanted):
        killed = chain.run(settings[wanted], moments.uniform(0, calm.longest))
        for name, found in chain.tables().items():
            owner = whose(found, {setting: tables[name] for setting, tables in known.items()})
            met[name] += killed and owner != wanted
        return killed

    while kills < least:
        chains += 1
        chain = Chain(tmp_path / f"{chains}")
        shutil.copytree(calm.models.lake.root, chain.lake.root)
        kills += sum(met_at_work(chain, moments.choice(list(settings))) for _ in range(3))
        while met_at_work(chain, "changed"):
            kills += 1
        for name, found in chain.tables().items():
            equal(found, known["changed"][name])
            assert set(found["fingerprint"]) == {changed.fingerprints()[name]}
        assert not any(chain.staged().values())
    log.info("%d chains, %d kills, of which met other settings' rows: %s", chains, kills, dict(met))
    return met
