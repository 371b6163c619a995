"""The checks of `--check` beyond `preflight`: files of rows, hubs, keys and engines.

Runs do not wait for these checks.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from preceptor.hub import HubName, UnreachableError, is_cached, unknown_names
from preceptor.preflight import preflight
from preceptor.soundness import unless_sound
from preceptor.study.endpoint import Endpoint
from preceptor.study.fields import Model, Records
from preceptor.study.schema import Study
from preceptor.study.teachers import VllmTeacher


@dataclass(frozen=True)
class Checked:
    """Sentences: `problems` will fail, `remarks` may be fine but deserve a look."""

    problems: tuple[str, ...]
    remarks: tuple[str, ...]


def check_study(study: Study) -> Checked:
    """Everything that can be checked before a study runs."""
    problems = [*preflight(study), *_files(study), *_engines(study)]
    remarks = list(_keys(study))
    named = list(dict.fromkeys(_hub_names(study)))
    try:
        problems += unknown_names(named)
    except UnreachableError as error:
        away = [name for name in named if name.kind == "dataset" or not is_cached(name)]
        if away:
            remarks.append(
                f"the hub does not answer ({error}). Not in the local cache, and so not checked:"
                f" {', '.join(map(str, away))}. Their steps fail unless the hub answers by then; use local"
                " folders (./folder), or download them first"
            )
    return Checked(tuple(problems), tuple(remarks))


def _files(study: Study) -> Iterator[str]:
    """Problems of local files of instructions, responses and scores. Files known to be sound are skipped."""
    from preceptor.source_files import RowFile, file_problems

    for part in (*study.instructions.sources, *study.teachers, *study.reward_models):
        if isinstance(part, RowFile) and part.path is not None:
            asked = ["rows", part.model_dump(mode="json"), study.limits.lost_rows]
            look = partial(file_problems, part, study.limits.lost_rows)
            yield from unless_sound(asked, [part.path], look, sound=list[str]())


def _engines(study: Study) -> Iterator[str]:
    asked = [teacher.name for teacher in study.teachers if isinstance(teacher, VllmTeacher)]
    if asked and find_spec("vllm") is None:
        yield (
            f"teacher {', '.join(asked)} needs the engine vllm, which is not installed; run"
            " .venv/bin/pip install -e '.[vllm]' on a machine with a GPU"
        )


def _keys(study: Study) -> Iterator[str]:
    asked: dict[tuple[str, str], None] = {}
    for part in study.parts():
        if isinstance(part, Endpoint) and not _at_home(part.base_url):
            asked[part.api_key_variable, part.base_url] = None
    for variable, address in asked:
        if not os.environ.get(variable, "").strip():
            yield f"the environment variable {variable} is not set; requests to {address} will have no key"


def _at_home(address: str) -> bool:
    """Whether an address is on this machine or a private network, where servers usually need no key."""
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".local", ".internal", ".lan"))


def _hub_names(study: Study) -> Iterator[HubName]:
    for part in study.parts():
        if isinstance(part, Model) and not Path(part.model).is_dir():
            yield HubName("model", part.model, part.revision)
        if isinstance(part, Records) and part.dataset is not None:
            yield HubName("dataset", part.dataset, part.revision)
