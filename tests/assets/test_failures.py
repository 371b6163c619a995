"""Preceptor's own errors show their message before any traceback; other errors stay unchanged."""

import ast
import inspect
from pathlib import Path

import dagster as dg
import pytest

from assets.failures import Failed, error_sentence, told
from preceptor.responses.rows import FailingTeacherError
from preceptor.suitability.table import RankingError

SENTENCE = "the mean reward of 1 teacher is not positive: set 'car.reward_map'"


def run(error, generator):
    @dg.asset
    @told
    def returning(context: dg.AssetExecutionContext) -> None:
        """What it is."""
        raise error

    @dg.asset(name="returning")
    @told
    def yielding(context: dg.AssetExecutionContext):
        yield dg.AssetObservation("other")
        raise error

    asset = yielding if generator else returning
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    result = dg.materialize([asset], raise_on_error=False, run_config=quiet)
    (failed,) = result.get_step_failure_events()
    return failed.step_failure_data.error


@pytest.mark.parametrize("generator", [False, True])
@pytest.mark.parametrize("ours", [RankingError, FailingTeacherError])
def test_the_message_comes_first_and_the_cause_keeps_its_class(generator, ours):
    error = run(ours(SENTENCE), generator)
    assert error.message == f"Failed: {SENTENCE}\n"
    assert error.cause.cls_name == ours.__name__  # jobs/finished_runs.py reads the class
    assert error_sentence(error.cause.message) == error_sentence(error.message) == SENTENCE


@pytest.mark.parametrize("other", [KeyError("x"), ZeroDivisionError("y"), RankingError("")])
def test_an_unexpected_error_keeps_its_traceback(other):
    error = run(other, generator=False)
    assert error.cls_name == "DagsterExecutionStepExecutionError"
    assert error.cause.cls_name == type(other).__name__ and error.cause.stack


def test_a_decorated_generator_keeps_its_kind_and_docstring():
    @told
    def words(context):
        """What it is."""
        yield context

    assert inspect.isgeneratorfunction(words) and words.__doc__ == "What it is."
    assert issubclass(Failed, dg.Failure)


def test_every_asset_and_op_has_the_decorator_told():
    for file in (*Path("assets").glob("*.py"), *Path("jobs").glob("*.py")):
        tree = ast.parse(file.read_text())
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            decorators = [ast.unparse(decorator) for decorator in function.decorator_list]
            if any(decorator.startswith(("dg.asset", "dg.op")) for decorator in decorators):
                assert decorators[-1] == "told", f"{file}: {function.name}"
