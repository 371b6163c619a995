"""Expands ${VAR} and ${VAR:-default} in a study's texts, and refuses secrets."""

import re
from collections.abc import Mapping
from typing import Any

from preceptor.study.document import Place, Problem

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
SECRET = re.compile(r"(^|_)(API_?KEY|KEY|TOKEN|SECRET|PWD|CREDENTIALS?)($|_)|PASSWORD|PASSWD", re.IGNORECASE)


def expand(value: Any, environment: Mapping[str, str], place: Place, problems: list[Problem]) -> Any:
    """The value with every variable replaced, as in a shell. A text that cannot be expanded becomes None.

    Adds a problem for each such text to `problems`.
    """
    if isinstance(value, dict):
        return {key: expand(item, environment, (*place, key), problems) for key, item in value.items()}
    if isinstance(value, list):
        return [expand(item, environment, (*place, i), problems) for i, item in enumerate(value)]
    if not isinstance(value, str):
        return value
    faults = []
    for name, default in (match.groups() for match in VARIABLE.finditer(value)):
        if SECRET.search(name):
            faults.append(
                f"{name} looks like a secret, and a study is stored with its results: remove it; engines read"
                " secrets from the environment"
            )
        elif name not in environment and default is None:
            faults.append(f"{name} is not set: export it, or write ${{{name}:-default}}")
    problems += [Problem(place, fault) for fault in dict.fromkeys(faults)]
    if faults:
        return None
    return VARIABLE.sub(lambda match: environment.get(match[1]) or match[2] or "", value)
