"""The untuned base, saved like its students: its own weights with their chat template and end tokens.

Every engine loads, prompts and stops it exactly like a student. The folder stays on this machine and can be
created again at any time.
"""

import shutil
from pathlib import Path

from preceptor.compute.conversation import TemplateProblem
from preceptor.evaluation.job import NotEvaluatedError
from preceptor.fingerprint import fingerprint, prompt_identity
from preceptor.lake.folders import alone, synchronise, workplace
from preceptor.lake.store import Lake
from preceptor.study.schema import Base
from preceptor.tuning.task import TuningError

VERSION = 1
PART = ".part"


def untuned_fingerprint(base: Base) -> str:
    """Changes with the base's weights, its template and the dtype of the saved folder.

    Raises UnknownModelError if the base cannot be looked up.
    """
    return fingerprint(
        "untuned",
        VERSION,
        **prompt_identity(base.model, base.revision, base.prompt_format, base.prompt_date),
        base=base.model_dump(include={"dtype", "prompt_format", "max_length"}),
    )


def untuned_folder(lake: Lake, base: Base) -> Path:
    """The folder, created if it is missing. Folders of other settings are removed.

    Raises NotEvaluatedError for a base that cannot be saved like its students.
    """
    place = workplace(lake, "untuned", base.name)
    made = place / untuned_fingerprint(base)
    with alone(place):
        if not made.is_dir():
            for left in (path for path in place.iterdir() if path.is_dir()):
                shutil.rmtree(left)
            part = place / f"{made.name}{PART}"
            _save(base, part)
            synchronise(part)
            part.rename(made)
    return made


def _save(base: Base, folder: Path) -> None:
    from preceptor.compute.load import (
        ModelError,
        context_length,
        load_causal_lm,
        load_tokenizer,
        release_memory,
    )
    from preceptor.tuning.examples import end_of_turn
    from preceptor.tuning.model import save_model
    from preceptor.tuning.train import quiet

    try:
        with quiet():
            tokenizer = load_tokenizer(base.model, base.revision)
            end = end_of_turn(tokenizer, base.prompt_format, base.name)
            model = load_causal_lm(base.model, base.revision, base.dtype, "cpu")
            save_model(model, tokenizer, base, end, context_length(model, base.max_length), folder)
            del model
    except (ModelError, TemplateProblem, TuningError) as error:
        raise NotEvaluatedError(f"base {base.name!r} cannot be evaluated untuned: {error}") from error
    finally:
        release_memory()
