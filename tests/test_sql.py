"""Statements and those who run them: each name has its file, each file its reader."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SQL = ROOT / "sql"
CODE = [
    path for folder in ("assets", "jobs", "preceptor", "resources") for path in (ROOT / folder).rglob("*.py")
]


def test_every_statement_has_a_file_and_every_file_a_reader():
    code = "\n".join(path.read_text() for path in CODE)
    files = {path.relative_to(SQL).with_suffix("").as_posix() for path in SQL.rglob("*.sql")}
    # query("name"), view(…, "name"), keep(…, "name"): the last text among the first arguments.
    asked = {
        names[-1]
        for call in re.findall(r"\.(?:query|view|keep)\(\s*((?:\"[\w/]+\",?\s*)+)", code)
        if (names := re.findall(r"\"([\w/]+)\"", call))
    }
    assert asked - files == set()
    assert {name for name in files if f'"{name}"' not in code and f'{Path(name).name}"' not in code} == set()
