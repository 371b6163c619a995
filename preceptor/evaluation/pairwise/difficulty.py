"""The two files of alpaca-eval's full length control: given by the study, or downloaded once to the store.

`df_gamed.csv` has judgments of its baseline's answers, made longer and shorter on purpose.
`instruction_difficulty.csv` has the difficulty of its 805 instructions. Both cover no other instructions.
Difficulties are found by number. alpaca-eval numbers the rows that it gets from 0, so for a model with fewer
than 805 rows it uses the difficulties of other instructions. Here an instruction keeps its own number.
"""

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preceptor.evaluation.items import Item
from preceptor.evaluation.whole_file import BenchmarkError
from preceptor.fingerprint import file_identity
from preceptor.lake.folders import MANIFEST, exists, fetch, folder_uri, publish, workplace
from preceptor.lake.store import Lake
from preceptor.study.evaluation import Pairwise
from preceptor.text import digest

log = logging.getLogger(__name__)
REPOSITORY = "tatsu-lab/alpaca_eval"  # a dataset on the hub
FILES = ("df_gamed.csv", "instruction_difficulty.csv")
INSTRUCTIONS = 805
BASELINES = 2  # gamed baselines, each with judgments of nearly all instructions
EVEN = 0.95
FETCH = f"fetch it again (dataset {REPOSITORY})"
# The hash of AlpacaEval's instructions in the order of its files, which numbers the difficulties.
IN_ORDER = "109c45a5d50abe5f"
FOLDER = "_alpaca_eval"
NO_FILES = f"alpaca-eval's {' and '.join(FILES)} are not at hand"
OTHER_INSTRUCTIONS = (
    f"alpaca-eval's {' and '.join(FILES)} know only AlpacaEval's {INSTRUCTIONS} instructions, in their order"
)


@dataclass(frozen=True)
class Difficulty:
    """The two files' folder, and each item's number among AlpacaEval's instructions."""

    folder: Path
    number: dict[str, int]

    def gamed(self) -> Any:
        """Judgments of the gamed baselines: a pandas frame with a row for each instruction and baseline.

        Raises BenchmarkError for a truncated file, because fewer judgments would silently change the result.
        """
        import pandas as pd

        file = self.folder / FILES[0]
        try:
            found = pd.read_csv(file)
            counts = found["model"].value_counts()
            known = set(found["index"])
        except (ValueError, KeyError, OSError) as error:
            raise BenchmarkError(f"{file}: cannot be read: {error}: {FETCH}") from error
        lacking = [number for number in self.number.values() if number not in known]
        if lacking or len(counts) != BASELINES or counts.min() < EVEN * counts.max():
            raise BenchmarkError(
                f"{file}: is incomplete ({counts.to_dict()} judgments, {len(lacking)} instructions without"
                f" one): {FETCH}"
            )
        return found.drop(columns=["model"])


def difficulty_of(lake: Lake, evaluation: Pairwise, items: Sequence[Item]) -> Difficulty | None:
    """The instructions' difficulty; None for instructions other than AlpacaEval's, or if no hub is reachable.

    Raises BenchmarkError if the study's folder lacks a file.
    """
    if not are_alpaca_evals(items):
        return None
    folder = given_folder(evaluation) if evaluation.length_control is not None else fetched(lake)
    return Difficulty(folder, {item.item_id: n for n, item in enumerate(items)}) if folder else None


def difficulty_at_hand(lake: Lake, evaluation: Pairwise, items: Sequence[Item]) -> Difficulty | None:
    """The instructions' difficulty, without downloading files.

    Raises BenchmarkError if the study's folder lacks a file.
    """
    if evaluation.length_control is None and not is_fetched(lake):
        return None
    return difficulty_of(lake, evaluation, items)


def are_alpaca_evals(items: Sequence[Item]) -> bool:
    """Whether these are all of AlpacaEval's instructions, in the order of its files."""
    return digest(*("\n\n".join(item.user) for item in items)) == IN_ORDER


def why_unknown(items: Sequence[Item]) -> str:
    """Why the instructions' difficulty is unknown, as a message."""
    return NO_FILES if are_alpaca_evals(items) else OTHER_INSTRUCTIONS


def given_folder(evaluation: Pairwise) -> Path:
    """The study's folder of the two files. Raises BenchmarkError if one is missing."""
    folder = Path(str(evaluation.length_control))
    lacking = [name for name in FILES if not (folder / name).is_file()]
    if lacking:
        raise BenchmarkError(
            f"evaluation {evaluation.name!r}, length_control: {folder} lacks {', '.join(lacking)} (dataset"
            f" {REPOSITORY})"
        )
    return folder


def is_fetched(lake: Lake) -> bool:
    """Whether the files are in the store."""
    return exists(lake, folder_uri(lake, FOLDER))


def fetched(lake: Lake) -> Path | None:
    """The files in the store, downloaded from the hub if needed; None if that fails."""
    uri = folder_uri(lake, FOLDER)
    if not is_fetched(lake):
        place = workplace(lake, FOLDER)
        if not _download(place):
            return None
        hashes = {name: file_identity(place / name) for name in FILES}
        (place / MANIFEST).write_text(json.dumps({"dataset": REPOSITORY, "sha256": hashes}, indent=1))
        publish(lake, place, uri)
    return fetch(lake, uri)


def _download(place: Path) -> bool:
    from huggingface_hub import hf_hub_download

    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        for name in FILES:
            shutil.copy(hf_hub_download(REPOSITORY, name, repo_type="dataset"), place / name)
    except Exception as error:  # the hub's client raises many types, and each means that files are missing
        log.warning(
            "no length-controlled win rate: cannot download %s of the dataset %s: %s",
            name,
            REPOSITORY,
            error,
        )
        return False
    return True
