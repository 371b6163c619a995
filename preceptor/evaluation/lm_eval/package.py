"""Checks that lm-eval is installed, finds its tasks, and suppresses its output."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from preceptor.evaluation.lm_eval.presets import Preset

TALKATIVE = ("lm_eval", "transformers", "datasets")


class MissingPackageError(ImportError):
    """A package that a benchmark needs is not installed. The message has the command to install it."""


def lm_eval_version() -> str:
    """The version of lm-eval. Raises MissingPackageError if it is not installed."""
    _spec()
    return version("lm_eval")


def require(preset: Preset) -> None:
    """Raise MissingPackageError if lm-eval or another package that the preset needs is not installed."""
    release = lm_eval_version()
    missing = [package for package in preset.packages if find_spec(package) is None]
    if missing:
        raise MissingPackageError(
            f"benchmark {preset.name!r} needs {', '.join(missing)}: run"
            f" pip install 'lm-eval[{preset.name}]=={release}'"
        )
    if "nltk" in preset.packages:
        _require_sentences(preset.name)


def definitions_folder(preset: Preset) -> Path:
    """The folder of the preset's task definitions. Raises MissingPackageError without lm-eval's own."""
    if preset.definitions.is_absolute():
        return preset.definitions
    spec = _spec()
    assert spec.origin is not None  # None only for namespace packages
    return Path(spec.origin).parent / "tasks" / preset.definitions


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress progress bars, tables, warnings and logs inside the block."""
    loggers = [logging.getLogger(name) for name in TALKATIVE]
    levels = [logger.level for logger in loggers]
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(redirect_stdout(io.StringIO()))
        stack.enter_context(redirect_stderr(io.StringIO()))
        warnings.simplefilter("ignore")
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(logging.ERROR)
            stack.callback(logger.setLevel, level)
        yield


def _spec() -> ModuleSpec:
    spec = find_spec("lm_eval")
    if spec is None:
        raise MissingPackageError("benchmarks need lm-eval: run pip install -e '.[benchmarks]'")
    return spec


def _require_sentences(name: str) -> None:
    """Raise MissingPackageError if nltk's sentence splitter is missing, which lm-eval would download."""
    import nltk

    try:
        nltk.data.find("tokenizers/punkt_tab")
    except LookupError as error:
        raise MissingPackageError(
            f"benchmark {name!r} needs nltk's sentence splitter: run python -m nltk.downloader punkt_tab"
        ) from error
