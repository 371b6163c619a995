"""The owner of the engine, tested with a fake worker that misbehaves."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from preceptor.compute.request import Decoding, Request
from preceptor.engines import engine_process, vllm_generator
from preceptor.engines.engine_process import EngineError, EngineProcess
from preceptor.engines.messages import Ask, grouped
from preceptor.engines.vllm_generator import Machine, VllmGenerator
from tests.engines.processes import gone, members

FAKE = Path(__file__).parent / "fake_worker.py"


@pytest.fixture
def start(monkeypatch, tmp_path):
    """Start a generator whose engine behaves as named. Its processes end with the test."""
    monkeypatch.setattr(vllm_generator, "COMMAND", (sys.executable, str(FAKE)))
    monkeypatch.setattr(vllm_generator, "WINDOW", 32)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    generators = []

    def started(behaviour, decoding=None, **machine):
        (tmp_path / "launches").mkdir(exist_ok=True)
        folder = str(tmp_path / "launches")
        generator = VllmGenerator(
            behaviour,
            folder,
            "float32",
            "own",
            None,
            None,
            None,
            1,
            decoding or Decoding(),
            Machine(**machine),
        )
        generators.append(generator)
        return generator

    yield started
    for generator in generators:
        generator.close()


def launches(tmp_path) -> list[list[int]]:
    """The row numbers that each launch got, in order."""
    asked = []
    for file in sorted((tmp_path / "launches").iterdir()):
        texts = [line.split(": ")[1] for line in file.read_text().splitlines()]
        asked.append([int(number) for text in texts for number in text.split()])
    return asked


def most_in_flight(tmp_path) -> int:
    return max(int(line.split(":")[0]) for line in (tmp_path / "launches" / "0").read_text().splitlines())


def rows(count=200, size=1) -> list[Request]:
    return [Request(None, (f"{n}" * size,), seed=1000 + n) for n in range(count)]


def answered(generator, requests) -> dict[int, str]:
    """Text by row number; fails where a row comes twice."""
    found: dict[int, str] = {}
    for number, answer in generator.stream(requests):
        assert number not in found
        found[number] = answer.turns[0]
    return found


def expected(requests) -> dict[int, str]:
    return {number: f"{request.seed}" for number, request in enumerate(requests)}


def test_every_row_is_answered_once_and_few_are_in_flight(start, tmp_path):
    generator = start("healthy")
    assert answered(generator, rows()) == expected(rows())
    assert launches(tmp_path) == [list(range(200))]
    assert 16 < most_in_flight(tmp_path) <= 32
    assert generator.facts["relaunches"] == 0
    assert generator.facts["response_tokens_per_second"] > 0


def test_samples_of_one_conversation_are_sent_together(start, tmp_path):
    requests = [Request(None, (f"{n // 8}",), seed=1000 * (n // 8) + n) for n in range(64)]
    assert answered(start("healthy", Decoding(temperature=1.0)), requests) == expected(requests)
    assert most_in_flight(tmp_path) == 32


def test_an_engine_that_dies_once_is_restarted_for_the_unfinished_rows(start, tmp_path):
    generator = start("dies once")
    assert answered(generator, rows()) == expected(rows())
    first, second = launches(tmp_path)
    assert generator.facts["relaunches"] == 1
    assert len(second) == 195
    assert set(second).issuperset(set(range(200)) - set(first))


def test_a_second_death_is_an_error_that_counts_rows_and_shows_the_log(start, tmp_path):
    generator = start("dies")
    before = generator._engine.pid
    with pytest.raises(EngineError) as caught:
        answered(generator, rows())
    message = str(caught.value)
    assert "died twice" in message and "10 of 200 rows" in message
    assert "the engine's last words" in message
    assert len(launches(tmp_path)) == 2
    assert not members(before)


def test_a_silent_engine_is_replaced_even_when_the_pipe_to_it_is_full(start):
    requests = rows(count=60, size=100_000)
    generator = start("hangs once", silent_seconds=4)
    before = generator._engine.pid
    assert answered(generator, requests) == expected(requests)
    assert generator.facts["relaunches"] == 1
    assert not members(before)


def test_an_engine_does_not_count_as_silent_while_its_owner_is_busy(start, monkeypatch):
    later = [0.0]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + later[0], sleep=time.sleep)
    monkeypatch.setattr(engine_process, "time", clock)
    generator = start("healthy", silent_seconds=60)
    stream = generator.stream(rows(count=40))
    found = dict([next(stream)])
    later[0] = 1000.0  # seconds that its owner was busy with the first answer
    found |= dict(stream)
    assert (len(found), generator.facts["relaunches"]) == (40, 0)


def test_an_engine_that_never_starts_is_an_error_and_leaves_nothing(start, tmp_path, monkeypatch):
    started, command = [], EngineProcess.__init__
    monkeypatch.setattr(EngineProcess, "__init__", lambda self, *a: started.append(self) or command(self, *a))
    with pytest.raises(EngineError, match=r"never starts: .* 1 s"):
        start("never starts", start_seconds=1.0)
    (engine,) = started
    assert gone(engine.pid)
    assert [path.name for path in tmp_path.iterdir()] == ["launches"]


def test_a_failed_start_gives_the_reason(start):
    with pytest.raises(EngineError, match="the model is no good"):
        start("refuses")


def test_a_stream_left_early_does_not_leak_rows_into_the_next(start, tmp_path):
    generator = start("healthy")
    stream = generator.stream(rows())
    next(stream)
    stream.close()
    other = [Request(None, ("other",), seed=n) for n in range(50)]
    assert answered(generator, other) == expected(other)
    assert len(launches(tmp_path)) == 2


def test_close_leaves_no_process_and_no_log(start):
    generator = start("healthy")
    engine = generator._engine
    assert len(members(engine.pid)) == 2
    generator.close()
    generator.close()
    assert gone(engine.pid)
    assert not engine._folder.exists()


def test_no_rows_give_no_answers(start):
    assert list(start("healthy").stream([])) == []


def test_only_neighbours_with_consecutive_seeds_are_grouped():
    a = [Request("s", ("a",), seed) for seed in (5, 6, 7, 9)]
    b = Request(None, ("a",), 10)
    grouping = list(grouped([(0, a[0]), (1, a[1]), (4, a[2]), (5, a[3]), (6, b)], together=True))
    assert grouping == [Ask((0, 1, 4), a[0]), Ask((5,), a[3]), Ask((6,), b)]
    assert grouping[0].rows() == [(0, a[0]), (1, a[1]), (4, a[2])]
    alone = grouped(enumerate(a), together=False)
    assert [ask.numbers for ask in alone] == [(0,), (1,), (2,), (3,)]


def test_importing_the_generator_imports_neither_torch_nor_vllm():
    heavy = "{'torch', 'vllm', 'transformers'}"
    check = f"import sys, preceptor.engines.vllm_generator; print({heavy} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_without_vllm_the_error_names_the_command_to_install_it(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['vllm'] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"pip install -e '\.\[vllm\]'"):
        VllmGenerator("m", "main", "float32", "own", None, None, None, 1, Decoding(), Machine())
