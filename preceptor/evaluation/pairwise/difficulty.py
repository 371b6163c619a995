"""The two files that alpaca-eval's full length control needs: given, fetched once into the store, or absent.

`df_gamed.csv` holds judgments of its baseline made longer and shorter on purpose, and
`instruction_difficulty.csv` how hard its 805 instructions are. They say nothing about other instructions.
Difficulties go by number. alpaca-eval numbers the rows that it is given from 0, so of a model with fewer than
805 rows it takes other instructions' difficulties; here an instruction keeps its own number.
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
BASELINES = 2  # gamed ones, each with a judgment of about every instruction
EVEN = 0.95
FETCH = f"fetch it again (dataset {REPOSITORY})"
# Of AlpacaEval's instructions in the order of its files, which the difficulties are numbered by.
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
        """Judgments of the gamed baselines: a pandas frame with a row per instruction and baseline.

        Raises BenchmarkError for a file that was cut: fewer judgments would give another figure, unsaid.
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
                f"{file}: is not whole ({counts.to_dict()} judgments, {len(lacking)} instructions without"
                f" one): {FETCH}"
            )
        return found.drop(columns=["model"])


def difficulty_of(lake: Lake, evaluation: Pairwise, items: Sequence[Item]) -> Difficulty | None:
    """What is known of the instructions' difficulty; None for others than AlpacaEval's, or where no hub is.

    Raises BenchmarkError where the folder that the study gives lacks a file.
    """
    if not are_alpaca_evals(items):
        return None
    folder = given_folder(evaluation) if evaluation.length_control is not None else fetched(lake)
    return Difficulty(folder, {item.item_id: n for n, item in enumerate(items)}) if folder else None


def difficulty_at_hand(lake: Lake, evaluation: Pairwise, items: Sequence[Item]) -> Difficulty | None:
    """What is known of the instructions' difficulty without fetching anything.

    Raises BenchmarkError where the folder that the study gives lacks a file.
    """
    if evaluation.length_control is None and not is_fetched(lake):
        return None
    return difficulty_of(lake, evaluation, items)


def are_alpaca_evals(items: Sequence[Item]) -> bool:
    """Whether these are AlpacaEval's instructions, all of them, in the order of its files."""
    return digest(*("\n\n".join(item.user) for item in items)) == IN_ORDER


def why_unknown(items: Sequence[Item]) -> str:
    """Why nothing is known of the instructions' difficulty, for people."""
    return NO_FILES if are_alpaca_evals(items) else OTHER_INSTRUCTIONS


def given_folder(evaluation: Pairwise) -> Path:
    """The study's folder of the two files. Raises BenchmarkError where it lacks one."""
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
    """The files in the store, fetched from the hub where nobody did yet; None where that fails."""
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
    except Exception as error:  # the hub's client raises many kinds; any means that there are no files
        log.warning(
            "no length-controlled win rate: %s of the dataset %s cannot be fetched: %s",
            name,
            REPOSITORY,
            error,
        )
        return False
    return True
