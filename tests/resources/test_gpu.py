"""Several processes share several GPUs and each claims its own. The tests need no GPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
HOLD = """
import os, sys
from resources import gpu
gpu.WAIT_SECONDS = float(sys.argv[1])
try:
    gpu.claim_gpus("auto", int(sys.argv[2]))
    print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
except gpu.NoFreeGpuError as error:
    print(error, flush=True)
sys.stdin.read()
"""
LOAD = """
import importlib, os, sys
from types import SimpleNamespace
from preceptor.study.judges import ClassifierJudge
from preceptor.study.fields import Sampling
from preceptor.study.reward_models import ClassifierRewardModel
from preceptor.study.schema import Base
from preceptor.study.teachers import TransformersTeacher, VllmTeacher
from resources import evaluation, generation, loss, reward, training

engines = {
    "losses": ("preceptor.compute.loss", "LossScorer", lambda: loss.LossResource()._load(
        Base(name="b", model="org/b"))),
    "rewards": ("preceptor.compute.reward", "RewardScorer", lambda: reward.RewardResource()._load(
        ClassifierRewardModel(name="r", engine="sequence_classification", model="org/r"))),
    "transformers": ("preceptor.compute.generation", "TransformersGenerator", lambda:
        generation.GenerationResource().load_teacher(
            TransformersTeacher(name="t", engine="transformers", model="org/t"))),
    "vllm": ("preceptor.engines.vllm_generator", "VllmGenerator", lambda:
        generation.GenerationResource().load_teacher(
            VllmTeacher(name="t", engine="vllm", model="org/t", tensor_parallel_size=2))),
    "students": ("preceptor.compute.generation", "TransformersGenerator", lambda:
        evaluation.EvaluationResource()._engines(Base(name="b", model="org/b")).generator(
            "folder", Sampling(), "own")),
    "judge": ("preceptor.compute.reward", "RewardScorer", lambda:
        evaluation.EvaluationResource()._engines(Base(name="b", model="org/b")).classifier(
            ClassifierJudge(name="j", engine="sequence_classification", model="org/j"))),
    "tuning": ("resources.training", "tune", lambda:
        training.TrainingResource().tune(None, None, "run", None, {})),
}
for engine, (module, name, load) in engines.items():
    say = lambda *_, **__: print(engine, os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
    setattr(importlib.import_module(module), name, say)
    if os.fork() == 0:  # a claim is a process's, so each engine has its own
        load()
        os._exit(0)
    os.wait()
"""


class Claims:
    """Processes that claim GPUs, print which, and stay alive."""

    def __init__(self, gpus: str) -> None:
        self.environment = {**os.environ, "PRECEPTOR_GPUS": gpus}
        self.processes: list[subprocess.Popen] = []

    def claim(self, count: int = 1, seconds: float = 0.0) -> str:
        return self.start(count, seconds).stdout.readline().strip()

    def start(self, count: int = 1, seconds: float = 0.0) -> subprocess.Popen:
        command = [sys.executable, "-c", HOLD, str(seconds), str(count)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.processes.append(subprocess.Popen(command, cwd=CHECKOUT, env=self.environment, **pipes))
        return self.processes[-1]


@pytest.fixture
def claims():
    made = Claims(f"test-{os.getpid()}-a, test-{os.getpid()}-b,")
    yield made
    for process in made.processes:
        process.kill()
        process.communicate()


def test_each_process_claims_a_different_gpu_and_one_too_many_fails_with_the_reason(claims):
    first, second = claims.claim(), claims.claim()
    assert {first, second} == {f"test-{os.getpid()}-a", f"test-{os.getpid()}-b"}
    refused = claims.claim()
    assert f"no GPU of PRECEPTOR_GPUS={first},{second} became free" in refused
    assert "concurrency.pools.default_limit" in refused


def test_a_waiting_process_gets_the_gpu_of_a_killed_one(claims):
    first, _ = claims.claim(), claims.claim()
    waiting = claims.start(seconds=600)
    claims.processes[0].kill()
    assert waiting.stdout.readline().strip() == first


def test_a_step_can_claim_several_gpus_but_not_more_than_exist(claims):
    assert claims.claim(2) == f"test-{os.getpid()}-a,test-{os.getpid()}-b"
    assert "'tensor_parallel_size: 3'" in claims.claim(3)


def test_without_the_variable_or_on_a_cpu_nothing_is_claimed(monkeypatch):
    from resources import gpu

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("PRECEPTOR_GPUS", raising=False)
    gpu.claim_gpus("auto")
    monkeypatch.setenv("PRECEPTOR_GPUS", "0,1")
    gpu.claim_gpus("cpu")
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


@pytest.mark.slow
def test_every_engine_claims_before_it_loads_a_model():
    name = f"test-{os.getpid()}"
    environment = {**os.environ, "PRECEPTOR_GPUS": f"{name}-x,{name}-y"}
    result = subprocess.run(
        [sys.executable, "-c", LOAD], cwd=CHECKOUT, env=environment, text=True, capture_output=True
    )
    engines = ["losses", "rewards", "transformers", "vllm", "students", "judge", "tuning"]
    claimed = dict.fromkeys(engines, f"{name}-x") | {"vllm": f"{name}-x,{name}-y"}
    assert dict(line.split() for line in result.stdout.splitlines()) == claimed, result.stderr


def test_more_processes_than_gpus_are_refused_at_once():
    environment = {**os.environ, "PRECEPTOR_GPUS": "0,1"}
    command = [sys.executable, "-m", "jobs.run_study", "studies/demo.yaml", "--processes", "3"]
    result = subprocess.run(command, cwd=CHECKOUT, env=environment, text=True, capture_output=True)
    assert result.returncode == 2
    assert "--processes 3" in result.stderr and "PRECEPTOR_GPUS=0,1" in result.stderr
